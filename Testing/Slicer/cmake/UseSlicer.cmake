set(BUILD_TESTING ON)

function(record kind)
  file(APPEND ${RECORD} "${kind}|${CMAKE_CURRENT_SOURCE_DIR}|${ARGN}\n")
endfunction()

# The macros of Slicer's CMake/SlicerMacroBuildScriptedModule.cmake, SlicerMacroPythonTesting.cmake and CTK's
# ctkMacroCompilePythonScript.cmake, with their keywords; an unknown one is an error, as there.
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown: ${MY_UNPARSED_ARGUMENTS}")
  endif()
  record(module ${MY_NAME} ${MY_SCRIPTS} ${MY_RESOURCES})
endmacro()

macro(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown: ${MY_UNPARSED_ARGUMENTS}")
  endif()
  record(unittest ${MY_SCRIPT})
endmacro()

function(ctkMacroCompilePythonScript)
  cmake_parse_arguments(MY "GLOBAL_TARGET;NO_INSTALL_SUBDIR"
    "TARGET_NAME;SOURCE_DIR;DESTINATION_DIR;INSTALL_DIR" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown: ${MY_UNPARSED_ARGUMENTS}")
  endif()
  record(package ${MY_TARGET_NAME} ${MY_SOURCE_DIR} ${MY_SCRIPTS} ${MY_RESOURCES})
endfunction()
