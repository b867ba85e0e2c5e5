#version 300 es
precision highp float;
uniform sampler2D pixels;
uniform float brightness;
in vec2 at;
out vec4 color;

void main()
{
  color = vec4(texture(pixels, at).rgb * brightness, 1.0);
}
