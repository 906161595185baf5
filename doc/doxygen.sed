# The headers' plain comments as Doxygen wants them: the file's own first, then those behind a name,
# and all others but the lines between sections.
1s,^/\*$,/** @file,
2,${
/^\/\* ----/!s,^\( *\)/\*\( \|$\),\1/**\2,
s,\([^ ]\) \{1\,\}/\* ,\1 /**< ,
}
