//VTK::Clip::Dec
// The numbers are in one 2D texture: slices of constant z, side by side and row by row. No 3D texture is needed.
float numberAt(vec3 c)
{
  float row = floor(c.z / tilesAcross);
  vec2 uv = vec2((c.z - row * tilesAcross) * gridSize.x + c.x, row * gridSize.y + c.y);
#ifdef ATLAS
  uv += atlasCorner;
#endif
  return texelFetch(numbers, ivec2(uv), 0).r;
}

// For 2x2x2 cells: ranks of the largest |numbers| of the cubes of 2, 4, 8 and 16 cells a side that contain them.
vec4 ranksAt(vec3 c)
{
  float row = floor(c.z / pairTilesAcross);
  vec2 uv = vec2((c.z - row * pairTilesAcross) * pairGrid.x + c.x, row * pairGrid.y + c.y);
#ifdef ATLAS
  uv += pairAtlasCorner;
#endif
  return texelFetch(levels, ivec2(uv), 0);
}

// NaN and infinite numbers always show; NaN fails the first comparison, hence the "not".
bool isShown(float v) { return !(abs(v) < threshold); }

// If a vector is wrapped into a grid, a few cells of its last row are empty.
bool isReal(vec3 c) { return (gridSize.y - 1.0 - c.y) * gridSize.x + c.x < realCount; }

float filled(vec3 c)
{
  if (any(lessThan(c, gridStart)) || any(greaterThanEqual(c, gridEnd))) return 0.0;
  return isShown(numberAt(c)) ? 1.0 : 0.0;
}

vec3 colorOf(float v)
{
  if (isnan(v)) return nanColor;
  if (isinf(v)) return infColor;
  float at = clamp((v - limits.x) / (limits.y - limits.x), 0.0, 1.0);
#ifdef ATLAS
  return texelFetch(lookup, ivec2(int(at * 255.0 + 0.5), int(lookupRow)), 0).rgb;
#else
  return texelFetch(lookup, ivec2(int(at * 255.0 + 0.5), 0), 0).rgb;
#endif
}
