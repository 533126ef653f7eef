// Kernel and libc interfaces that the Glibc overlay does not import.
#pragma once
#include <stddef.h>
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
// `ip link set lo up` in the calling thread's network namespace; 0 or -errno.
int evpnd_raise_loopback(void);

// recvmmsg(2) into `count` slots of `slot_size` octets that lie back to back in `buffer`; never waits. `lengths` gets the real
// length of each datagram, larger than `slot_size` when it was cut off. Returns the number of datagrams or -errno.
int evpnd_receive_many(int descriptor, void *buffer, unsigned slot_size, unsigned count, unsigned *lengths);
// accept4(2) with SOCK_NONBLOCK and SOCK_CLOEXEC, without the peer's address.
int evpnd_accept(int listener);

// A raw socket for two messages of IPv6 neighbor discovery (RFC 4861), ICMPv6 types `type` and `type` + 1: hears them on every
// interface, sends with hop limit 255. Returns the descriptor or -errno (-EPERM without CAP_NET_RAW).
int evpnd_open_discovery_socket(int type);
// Hears what is sent to all routers (ff02::2) of a link; 0 or -errno.
int evpnd_join_routers(int descriptor, unsigned interface);
// One such message, its checksum verified by the kernel; returns its length or -errno (-EAGAIN: there is none, -EMSGSIZE: too long).
// `hop_limit` is -1 when it is not known.
int evpnd_receive_discovery(int descriptor, void *buffer, size_t size, unsigned char source[16], unsigned *interface, int *hop_limit);
// Sends a router message to all nodes (ff02::1) or all routers (ff02::2) of a link; the kernel fills in the checksum. 0 or -errno.
int evpnd_send_router(int descriptor, const void *bytes, size_t size, const unsigned char source[16], unsigned interface, int to_routers);

// A packet socket for ARP between Ethernet and IPv4 addresses on every interface, probes left out; its packets begin with the ARP
// header. Returns the descriptor or -errno (-EPERM without CAP_NET_RAW).
int evpnd_open_arp_socket(void);
// Has a socket of evpnd_open_arp_socket (`is_arp`) or evpnd_open_discovery_socket hear nothing on these interfaces, at most
// EVPND_MAXIMUM_MUTED of them, and everything on all others. 0 or -errno.
#define EVPND_MAXIMUM_MUTED 32
int evpnd_mute(int descriptor, int is_arp, const unsigned *interfaces, size_t count);
// Gives a socket so large a receive buffer, if it may have it.
void evpnd_grow_receive_buffer(int descriptor, int octets);
// One ARP packet with the Ethernet address it came from; returns its length, 0 for one that is to be left alone, or -errno.
int evpnd_receive_arp(int descriptor, void *buffer, size_t size, unsigned char source[6], unsigned *interface);
// Sends the payload of an Ethernet frame over a packet socket, from the interface's own address. 0 or -errno.
int evpnd_send_frame(int descriptor, unsigned interface, const unsigned char destination[6], unsigned short protocol, const void *bytes, size_t size);
