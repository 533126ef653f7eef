#define _GNU_SOURCE
#include <sched.h>

int evpnd_setns(int descriptor, int type) { return setns(descriptor, type); }
int evpnd_unshare(int flags) { return unshare(flags); }
