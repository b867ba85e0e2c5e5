#version 300 es
uniform mat4 matrix;
in vec3 point;
in vec4 fill;
out vec3 lit;

void main()
{
  gl_Position = matrix * vec4(point, 1.0);
  lit = fill.rgb;
}
