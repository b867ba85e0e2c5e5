  // Each block has 8 corners and one row of the texture.
  int row = gl_VertexID / 8;
  block0 = texelFetch(parameters, ivec2(0, row), 0);
  block1 = texelFetch(parameters, ivec2(1, row), 0);
  block2 = texelFetch(parameters, ivec2(2, row), 0);
  block3 = texelFetch(parameters, ivec2(3, row), 0);
  block4 = texelFetch(parameters, ivec2(4, row), 0);
  block5 = texelFetch(parameters, ivec2(5, row), 0);
  block6 = texelFetch(parameters, ivec2(6, row), 0);
  block7 = texelFetch(parameters, ivec2(7, row), 0);
