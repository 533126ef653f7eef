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

// recvmmsg(2) into `count` slots of `slot_size` octets that lie back to back in `buffer`; never waits. `lengths` gets the real
// length of each datagram, larger than `slot_size` when it was cut off. Returns the number of datagrams or -errno.
int evpnd_receive_many(int descriptor, void *buffer, unsigned slot_size, unsigned count, unsigned *lengths);
// accept4(2) with SOCK_NONBLOCK and SOCK_CLOEXEC, without the peer's address.
int evpnd_accept(int listener);
