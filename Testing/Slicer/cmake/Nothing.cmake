# In place of SlicerExtensionGenerateConfig.cmake, which writes files for other extensions.
