#version 300 es
uniform mat4 MCDCMatrix;
uniform vec3 lowest, extent;
in vec3 corner;
out vec3 cornerMC;
flat out vec4 depthRow;
flat out vec4 scaleRow;
