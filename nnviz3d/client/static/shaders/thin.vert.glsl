#version 300 es
uniform mat4 matrix;
in vec3 point;
in vec4 fill;
out vec4 paint;

void main()
{
  gl_Position = matrix * vec4(point, 1.0);
  paint = fill;
}
