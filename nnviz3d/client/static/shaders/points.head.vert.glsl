#version 300 es
uniform mat4 MCDCMatrix;
uniform vec2 pixelShare;
uniform float nearestBall, farthestBall;
in vec3 center;
in float ballSize;
in vec4 ballColor, ringColor;
out vec2 ballPlace;
out vec4 ballFill;
out vec4 ballRing;
out vec2 ballDepth;
out vec2 ballFront;
out float ballAhead;

// The four vertices of each ball are the corners of a square.
vec2 squareCorner() { return 2.0 * vec2(gl_VertexID & 1, (gl_VertexID >> 1) & 1) - 1.0; }
