#version 300 es
// Each four vertices are the corners of one tile of a texture that holds them side by side, the first row on top.
uniform mat4 matrix;
uniform vec3 right, up;
uniform vec2 tileSize, wholeSize;
uniform float across, inset;
in vec3 start;
out vec2 at;

void main()
{
  int number = gl_VertexID >> 2;
  vec2 place = vec2(gl_VertexID & 1, (gl_VertexID >> 1) & 1);
  gl_Position = matrix * vec4(start + place.x * right + place.y * up, 1.0);
  float row = floor((float(number) + 0.5) / across);
  vec2 first = vec2(float(number) - row * across, row) * tileSize;
  // The rectangle ends slightly inside of the tile, so that its edge never shows the next tile.
  at = (first + inset + vec2(place.x, 1.0 - place.y) * (tileSize - 2.0 * inset)) / wholeSize;
}
