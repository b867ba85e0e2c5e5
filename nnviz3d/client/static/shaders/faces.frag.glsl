#version 300 es
precision highp float;
in vec3 lit;
out vec4 color;

void main()
{
  color = vec4(lit, 1.0);
}
