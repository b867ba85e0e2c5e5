float off = dot(ballPlace, ballPlace);
if (off > 1.0 || ballFill.a <= 0.0) discard;
float rise = sqrt(1.0 - off);
vec3 normal = vec3(ballPlace, rise);
float ringed = step(0.001, ballRing.a);
// A ball with a ring is smaller, so that there is a dark gap between the two.
float reach = sqrt(off);
float inner = mix(1.0, 0.62, ringed);
vec3 within = vec3(ballPlace / inner, sqrt(max(0.0, 1.0 - off / (inner * inner))));
float diffuse = max(dot(within, normalize(vec3(-0.45, 0.65, 0.62))), 0.0);
float shine = pow(max(dot(within, normalize(vec3(-0.3, 0.45, 0.84))), 0.0), 40.0);
vec3 ball = ballFill.rgb * (0.46 + 0.66 * diffuse) * (0.62 + 0.38 * smoothstep(0.0, 0.55, within.z)) + 0.28 * shine;
vec3 seen = ball;
if (ringed > 0.5 && reach > inner) seen = reach > 0.76 ? ballRing.rgb * ballRing.a : groundColor;
// Farther and less opaque balls are mixed with the background, not blended, so that nothing has to be sorted.
float haze = farthestHaze * ballAhead * (1.0 - 0.6 * ringed);
seen = mix(groundColor, seen, ballFill.a * (1.0 - haze));
fragOutput0 = vec4(min(seen, vec3(1.0)), 1.0);
vec2 depth = ballDepth + rise * ballFront;
gl_FragDepth = clamp(0.5 * depth.x / depth.y + 0.5, 0.0, 1.0);
