#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
uniform sampler2D numbers, levels, lookup;
uniform vec3 gridSize, gridStart, gridEnd, pairGrid, origin, cellSize, cameraMC, viewDirection, front;
uniform vec3 groundColor, nanColor, infColor;
uniform vec2 limits;
uniform float tilesAcross, pairTilesAcross, realCount, threshold, lowestRank, emphasis, glow, gapShare;
uniform float pixelSize, parallel, farAway, neighbours;
in vec3 cornerMC;
flat in vec4 depthRow;
flat in vec4 scaleRow;
out vec4 fragOutput0;
