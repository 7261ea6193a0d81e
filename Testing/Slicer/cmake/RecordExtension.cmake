foreach(name HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  record(extension ${name} "${EXTENSION_${name}}")
endforeach()
record(project ${PROJECT_NAME})
