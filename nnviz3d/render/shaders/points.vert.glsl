// Each ball is a square that faces the camera, as large as the ball on the screen.
vec4 toX = vec4(MCDCMatrix[0][0], MCDCMatrix[1][0], MCDCMatrix[2][0], 0.0);
vec4 toDepth = vec4(MCDCMatrix[0][2], MCDCMatrix[1][2], MCDCMatrix[2][2], 0.0);
gl_Position = MCDCMatrix * vertexMC;
vec2 share = ballCorner.z * pixelShare;
gl_Position.xy += ballCorner.xy * share * gl_Position.w;
ballPlace = ballCorner.xy;
ballFill = ballColor;
ballRing = ringColor;
// The ball's radius in world units, and the difference in depth towards the camera that it makes.
float radius = share.x * gl_Position.w / length(toX.xyz);
ballDepth = gl_Position.zw;
ballFront = (MCDCMatrix * vec4(-normalize(toDepth.xyz) * radius, 0.0)).zw;
ballAhead = clamp((gl_Position.w - nearestBall) / max(farthestBall - nearestBall, 1e-6), 0.0, 1.0);
