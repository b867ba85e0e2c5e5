#version 300 es
// A straight piece as a parallelogram: as OpenGL's wide lines, it is widened upwards if it is more across than up, else
// to the side.
uniform mat4 matrix;
uniform vec2 size;
uniform float width;
in vec3 begin, end;
in vec4 fill;
out vec4 paint;

void main()
{
  // The four vertices of a piece are two at its begin and two at its end.
  bool atEnd = (gl_VertexID & 2) != 0;
  float side = (gl_VertexID & 1) != 0 ? 1.0 : -1.0;
  vec4 a = matrix * vec4(begin, 1.0), b = matrix * vec4(end, 1.0);
  // An end behind the camera moves to the nearest visible depth.
  float aheadOfA = a.z + a.w, aheadOfB = b.z + b.w;
  vec4 first = a, last = b;
  if (aheadOfA < 0.0 && aheadOfB > 0.0) first = mix(a, b, aheadOfA / (aheadOfA - aheadOfB));
  if (aheadOfB < 0.0 && aheadOfA > 0.0) last = mix(b, a, aheadOfB / (aheadOfB - aheadOfA));
  vec2 along = abs((last.xy / last.w - first.xy / first.w) * size);
  vec2 wide = along.x >= along.y ? vec2(0.0, 1.0) : vec2(1.0, 0.0);
  gl_Position = atEnd ? last : first;
  gl_Position.xy += side * width * wide / size * gl_Position.w;
  paint = fill;
}
