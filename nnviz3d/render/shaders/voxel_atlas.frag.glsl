// Many blocks in one draw call: what is a uniform of one block elsewhere is the same at all corners of a block here.
#define ATLAS
flat in vec4 block0, block1, block2, block3, block4, block5, block6, block7;
#define gridSize block0.xyz
#define tilesAcross block0.w
#define pairGrid floor((block0.xyz + 1.0) * 0.5)
#define gridStart block1.xyz
#define pairTilesAcross block1.w
#define gridEnd block2.xyz
#define lowestRank block2.w
#define origin block3.xyz
#define emphasis block3.w
#define cellSize block4.xyz
#define glow block4.w
#define front block5.xyz
#define threshold block5.w
#define limits block6.xy
#define realCount block6.z
#define lookupRow block6.w
#define atlasCorner block7.xy
#define pairAtlasCorner block7.zw
