//VTK::Clip::Dec
// Numbers lie in one 2D texture: slices of constant z, side by side and row by row, so that no 3D texture is needed.
float numberAt(vec3 c)
{
  float row = floor(c.z / tilesAcross);
  vec2 uv = vec2((c.z - row * tilesAcross) * gridSize.x + c.x, row * gridSize.y + c.y);
  return texelFetch(numbers, ivec2(uv), 0).r;
}

// The largest |number| of a pair of 2x2x2 cells or a brick of 8x8x8: what a ray may jump over.
float largestIn(sampler2D level, vec3 c, vec3 grid, float across)
{
  float row = floor(c.z / across);
  vec2 uv = vec2((c.z - row * across) * grid.x + c.x, row * grid.y + c.y);
  return texelFetch(level, ivec2(uv), 0).r;
}

// NaN and infinite numbers always show; NaN fails the first comparison, hence the "not".
bool isShown(float v) { return !(abs(v) < threshold); }

// A vector that was wrapped into a grid leaves a few cells of its last row empty.
bool isReal(vec3 c) { return (gridSize.y - 1.0 - c.y) * gridSize.x + c.x < realCount; }

float filled(vec3 c)
{
  if (any(lessThan(c, vec3(0.0))) || any(greaterThanEqual(c, gridEnd))) return 0.0;
  return isShown(numberAt(c)) ? 1.0 : 0.0;
}

vec3 colorOf(float v)
{
  if (isnan(v)) return nanColor;
  if (isinf(v)) return infColor;
  float at = clamp((v - limits.x) / (limits.y - limits.x), 0.0, 1.0);
  return texelFetch(lookup, ivec2(int(at * 255.0 + 0.5), 0), 0).rgb;
}
