//VTK::PositionVC::Impl
  cornerMC = vertexMC.xyz;
  depthRow = vec4(MCDCMatrix[0][2], MCDCMatrix[1][2], MCDCMatrix[2][2], MCDCMatrix[3][2]);
  scaleRow = vec4(MCDCMatrix[0][3], MCDCMatrix[1][3], MCDCMatrix[2][3], MCDCMatrix[3][3]);
