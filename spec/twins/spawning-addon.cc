// Broken on purpose: native code that starts a shell.
#include <cstdlib>

int Ban(const char* command) { return system(command); }
