# collective/packing.c
s/size_t words = lines_for(chunk->coordinates) \* LINE_WORDS;/size_t words = (chunk->coordinates + 63) \/ 64;/
