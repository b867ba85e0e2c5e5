"""Run the command line as a viewer in a separate process, because TensorFlow and OpenGL cannot share one."""
