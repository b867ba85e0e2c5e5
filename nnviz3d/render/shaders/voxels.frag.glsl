//VTK::Light::Impl
  // Walk the grid along the ray from cell to cell (J. Amanatides and A. Woo, "A Fast Voxel Traversal Algorithm for Ray
  // Tracing", Eurographics 1987), over empty cubes of 2 to 16 cells a side in one step. Front faces are culled, so every
  // ray is walked once, also from inside the block. Lengths along the ray are world units; positions q are in cells.
  bool flatView = parallel > 0.5;
  vec3 ray = flatView ? viewDirection : normalize(cornerMC - cameraMC);
  ray += vec3(equal(ray, vec3(0.0))) * 1e-7;
  vec3 eye = flatView ? cornerMC - ray * farAway : cameraMC;
  vec3 lower = origin + gridStart * cellSize, upper = origin + gridEnd * cellSize;
  vec3 ta = (lower - eye) / ray, tb = (upper - eye) / ray;
  vec3 tNear = min(ta, tb), tFar = max(ta, tb);
  float enter = max(max(tNear.x, tNear.y), max(tNear.z, 0.0));
  float leave = min(min(tFar.x, tFar.y), tFar.z);
  if (enter >= leave) discard;

  vec3 slope = ray / cellSize;
  vec3 q0 = (eye - origin) / cellSize;
  vec3 heading = sign(slope);
  vec3 forward = max(heading, 0.0);
  vec3 inverse = 1.0 / slope;
  vec3 pace = abs(inverse);
  vec3 cell = clamp(floor(q0 + slope * enter), gridStart, gridEnd - 1.0);

#ifdef COARSE
  // The same walk without gaps for small cells, with few branches, because software rasterizers run both sides of each.
  // The ranks are looked up again only after some cells.
  bool hit = false;
  float v = 0.0, depth = enter, end = leave - 1e-4 * (leave - enter);
  int step = 0;
  while (!hit && depth < end && step < 1024)
  {
    while (depth < end && step < 1024)
    {
      vec4 ranks = ranksAt(floor(cell * 0.5));
      if (ranks.x >= lowestRank) break;
      float side = ranks.w < lowestRank ? 16.0 : ranks.z < lowestRank ? 8.0 : ranks.y < lowestRank ? 4.0 : 2.0;
      vec3 first = floor(cell / side) * side;
      vec3 t3 = (first + side * forward - q0) * inverse;
      depth = min(t3.x, min(t3.y, t3.z));
      vec3 across = vec3(lessThanEqual(t3, vec3(depth)));
      vec3 along = clamp(floor(q0 + slope * depth), first, first + side - 1.0);
      cell = mix(along, mix(first - 1.0, first + side, forward), across);
      ++step;
    }
    vec3 next = (cell + forward - q0) * inverse;
    for (int k = 0; k < 8 && depth < end; ++k)
    {
      v = numberAt(cell);
      if (isShown(v) && isReal(cell)) { hit = true; break; }
      depth = min(next.x, min(next.y, next.z));
      vec3 across = vec3(lessThanEqual(next, vec3(depth)));
      cell += heading * across;
      next += pace * across;
    }
    ++step;
  }
  vec3 into = (cell + 1.0 - forward - q0) * inverse;
  depth = max(max(into.x, max(into.y, into.z)), 0.0);
  vec3 normal = -heading * (into.x >= depth ? vec3(1.0, 0.0, 0.0) : into.y >= depth ? vec3(0.0, 1.0, 0.0) : vec3(0.0, 0.0, 1.0));
#else
  // The gap between cubes closes as they shrink towards a pixel, where it would only flicker.
  float smallest = min(cellSize.x, min(cellSize.y, cellSize.z));
  float pixels = smallest / (pixelSize * (flatView ? 1.0 : max(enter, 1e-6)));
  vec3 gap = smallest * gapShare * smoothstep(2.0, 6.0, pixels) / cellSize;

  // Two loops in turn, over empty cubes and then from cell to cell, because pixels are drawn in groups that wait for
  // each other.
  bool hit = false, gone = false;
  float v = 0.0, depth = enter;
  vec3 normal = vec3(0.0);
  int step = 0;
  while (!hit && !gone && step < 4096)
  {
    vec3 pair = floor(cell * 0.5);
    while (step < 4096)
    {
      vec4 ranks = ranksAt(pair);
      if (ranks.x >= lowestRank) break;
      // Jump to the face where the ray leaves: exactly to the cell behind it, at any position on the other axes.
      float side = ranks.w < lowestRank ? 16.0 : ranks.z < lowestRank ? 8.0 : ranks.y < lowestRank ? 4.0 : 2.0;
      vec3 first = floor(cell / side) * side;
      vec3 last = min(first + side, gridEnd);
      first = max(first, gridStart);
      vec3 t3 = (mix(first, last, forward) - q0) * inverse;
      float t = min(t3.x, min(t3.y, t3.z));
      cell = clamp(floor(q0 + slope * t), first, last - 1.0);
      vec3 behind = mix(first - 1.0, last, forward);
      if (t3.x <= t) cell.x = behind.x;
      else if (t3.y <= t) cell.y = behind.y;
      else cell.z = behind.z;
      pair = floor(cell * 0.5);
      ++step;
      gone = any(lessThan(cell, gridStart)) || any(greaterThanEqual(cell, gridEnd));
      if (gone) break;
    }
    if (gone) break;
    vec3 next = (cell + forward - q0) * inverse;
    while (step < 4096)
    {
      v = numberAt(cell);
      if (isShown(v) && isReal(cell))
      {
        vec3 a = (cell + gap - q0) * inverse, b = (cell + 1.0 - gap - q0) * inverse;
        vec3 lo = min(a, b), hi = max(a, b);
        float into = max(lo.x, max(lo.y, lo.z));
        if (into <= min(hi.x, min(hi.y, hi.z)))
        {
          normal = into == lo.x ? vec3(-heading.x, 0.0, 0.0) : into == lo.y ? vec3(0.0, -heading.y, 0.0) : vec3(0.0, 0.0, -heading.z);
          depth = max(into, 0.0);
          hit = true;
          break;
        }
      }
      if (next.x < next.y && next.x < next.z) { cell.x += heading.x; next.x += pace.x; }
      else if (next.y < next.z) { cell.y += heading.y; next.y += pace.y; }
      else { cell.z += heading.z; next.z += pace.z; }
      ++step;
      gone = any(lessThan(cell, gridStart)) || any(greaterThanEqual(cell, gridEnd));
      if (gone || floor(cell * 0.5) != pair) break;
    }
  }
#endif
  if (!hit) discard;

  vec3 at = eye + ray * depth;
  float light = dot(abs(normal), vec3(0.80, 0.90, 1.0)) - (normal.y < 0.0 ? 0.25 : 0.0);
  light = normal.y > 0.5 ? 1.0 : light;
#ifndef COARSE
  // Corners and creases are darker, because the eight neighbours in front of the face block light, more the nearer they
  // are. This is a loop, because software rasterizers run both sides of an "if" but leave a loop early.
  float close = smoothstep(1.5, 4.0, pixels);
  vec3 ahead = cell + normal;
  bool within = all(greaterThanEqual(ahead, gridStart)) && all(lessThan(ahead, gridEnd));
  int looks = close > 0.0 && within ? int(neighbours) : 0;
  vec3 u = abs(normal.x) > 0.5 ? vec3(0.0, 1.0, 0.0) : vec3(1.0, 0.0, 0.0);
  vec3 w = abs(normal.z) > 0.5 ? vec3(0.0, 1.0, 0.0) : vec3(0.0, 0.0, 1.0);
  vec3 inside = clamp((at - origin) / cellSize - cell, 0.0, 1.0);
  float s = dot(inside, u), r = dot(inside, w), shade = 0.0;
  for (int k = 0; k < looks; ++k)
  {
    float i = float(k % 3 - 1), j = float(k / 3 - 1);
    float near = (i < 0.0 ? 1.0 - s : i > 0.0 ? s : 1.0) * (j < 0.0 ? 1.0 - r : j > 0.0 ? r : 1.0);
    shade += k == 4 ? 0.0 : near * filled(cell + normal + i * u + j * w);
  }
  light *= 1.0 - close * 0.15 * shade;
#endif
  vec3 matter = colorOf(v);
  // The moving light has each cell's colour and a little white; without light, this adds exactly zero.
  float away = (at.x - front.x) / front.y;
  float shine = glow + front.z * exp(-away * away);
  vec3 shown = mix(groundColor, matter * light, emphasis) + (matter * 0.55 + 0.12) * shine;
  fragOutput0 = vec4(shown, 1.0);
  // The depth is that of the hit, so that lines, frames and other blocks pass in front of and behind single cubes.
  gl_FragDepth = clamp((dot(depthRow, vec4(at, 1.0)) / dot(scaleRow, vec4(at, 1.0))) * 0.5 + 0.5, 0.0, 1.0);
