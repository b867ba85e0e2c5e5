#version 300 es
uniform mat4 matrix;
uniform vec3 ahead;
in vec3 point, normal;
in vec4 fill;
out vec3 lit;

void main()
{
  gl_Position = matrix * vec4(point, 1.0);
  // The light is at the camera; both sides of a face are lit.
  lit = fill.rgb * (0.35 + 0.65 * abs(dot(normal, ahead)));
}
