#version 300 es
precision highp float;
uniform float opacity;
in vec4 paint;
out vec4 color;

void main()
{
  color = vec4(paint.rgb, paint.a * opacity);
}
