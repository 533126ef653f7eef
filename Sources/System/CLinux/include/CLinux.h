// Kernel and libc interfaces that the Glibc overlay does not import.
#pragma once
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/prctl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

// setns(2) and unshare(2), which <sched.h> declares only for _GNU_SOURCE.
int evpnd_setns(int descriptor, int type);
int evpnd_unshare(int flags);
