#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/socket.h>
#include <netinet/icmp6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <arpa/inet.h>
#include <unistd.h>
#include "CLinux.h"

int evpnd_setns(int descriptor, int type) { return setns(descriptor, type); }
int evpnd_unshare(int flags) { return unshare(flags); }
int evpnd_raise_loopback(void) {
    struct ifreq request = {.ifr_name = "lo"};
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int result = 0;
    if (ioctl(descriptor, SIOCGIFFLAGS, &request) < 0) result = -errno;
    request.ifr_flags |= IFF_UP;
    if (result == 0 && ioctl(descriptor, SIOCSIFFLAGS, &request) < 0) result = -errno;
    close(descriptor);
    return result;
}

int evpnd_receive_many(int descriptor, void *buffer, unsigned slot_size, unsigned count, unsigned *lengths) {
    struct mmsghdr headers[64];
    struct iovec vectors[64];
    if (count > 64) count = 64;
    memset(headers, 0, sizeof headers[0] * count);
    for (unsigned i = 0; i < count; i++) {
        vectors[i].iov_base = (char *)buffer + (size_t)i * slot_size;
        vectors[i].iov_len = slot_size;
        headers[i].msg_hdr.msg_iov = &vectors[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
    int received = recvmmsg(descriptor, headers, count, MSG_DONTWAIT | MSG_TRUNC, 0);
    if (received < 0) return -errno;
    for (int i = 0; i < received; i++) lengths[i] = headers[i].msg_len;
    return received;
}
int evpnd_accept(int listener) { return accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC); }

int evpnd_open_discovery_socket(int type) {
    int descriptor = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
    if (descriptor < 0) return -errno;
    struct icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(type, &filter);
    ICMP6_FILTER_SETPASS(type + 1, &filter);
    int on = 1, off = 0, hops = 255;
    if (setsockopt(descriptor, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) < 0 ||
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) < 0 ||
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on) < 0 ||
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops) < 0 ||
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &off, sizeof off) < 0) {
        int error = errno;
        close(descriptor);
        return -error;
    }
    return descriptor;
}
int evpnd_join_routers(int descriptor, unsigned interface) {
    // ff02::2: solicitations are sent to it. Every node hears ff02::1.
    struct ipv6_mreq request = {.ipv6mr_interface = interface};
    request.ipv6mr_multiaddr.s6_addr[0] = 0xff;
    request.ipv6mr_multiaddr.s6_addr[1] = 2;
    request.ipv6mr_multiaddr.s6_addr[15] = 2;
    if (setsockopt(descriptor, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request) == 0) return 0;
    return errno == EADDRINUSE ? 0 : -errno;
}
int evpnd_receive_discovery(int descriptor, void *buffer, size_t size, unsigned char source[16], unsigned *interface, int *hop_limit) {
    struct sockaddr_in6 from = {0};
    char control[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec vector = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &vector, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(descriptor, &message, MSG_DONTWAIT);
    if (length < 0) return -errno;
    memcpy(source, &from.sin6_addr, 16);
    *interface = 0;
    *hop_limit = -1;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != IPPROTO_IPV6) continue;
        if (part->cmsg_type == IPV6_PKTINFO && part->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo))) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(part), sizeof info);
            *interface = info.ipi6_ifindex;
        } else if (part->cmsg_type == IPV6_HOPLIMIT && part->cmsg_len >= CMSG_LEN(sizeof(int))) {
            memcpy(hop_limit, CMSG_DATA(part), sizeof(int));
        }
    }
    return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : (int)length;
}
int evpnd_send_router(int descriptor, const void *bytes, size_t size, const unsigned char source[16], unsigned interface, int to_routers) {
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_scope_id = interface};
    to.sin6_addr.s6_addr[0] = 0xff;
    to.sin6_addr.s6_addr[1] = 2;
    to.sin6_addr.s6_addr[15] = to_routers ? 2 : 1;
    char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] __attribute__((aligned(8))) = {0};
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &vector, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = IPPROTO_IPV6;
    part->cmsg_type = IPV6_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof(struct in6_pktinfo));
    struct in6_pktinfo info = {.ipi6_ifindex = interface};
    memcpy(&info.ipi6_addr, source, 16);
    memcpy(CMSG_DATA(part), &info, sizeof info);
    return sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int evpnd_open_arp_socket(void) {
    // Bound to no protocol: nothing comes before the filter is there.
    int descriptor = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP)};
    int result = evpnd_mute(descriptor, 1, NULL, 0);
    if (result == 0 && bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) result = -errno;
    if (result == 0) return descriptor;
    close(descriptor);
    return result;
}
int evpnd_mute(int descriptor, int is_arp, const unsigned *interfaces, size_t count) {
    static const struct sock_filter arp[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2), // protocol
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 5),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4), // lengths of the addresses
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0604, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 14), // address of the sender
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 64),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_filter code[1 + 2 * EVPND_MAXIMUM_MUTED + sizeof arp / sizeof arp[0]];
    unsigned short length = 0;
    if (count > EVPND_MAXIMUM_MUTED) count = EVPND_MAXIMUM_MUTED;
    if (count > 0) code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_IFINDEX);
    for (size_t index = 0; index < count; index++) {
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, interfaces[index], 0, 1);
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
    }
    if (is_arp) {
        memcpy(code + length, arp, sizeof arp);
        length += sizeof arp / sizeof arp[0];
    } else {
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
    }
    struct sock_fprog program = {.len = length, .filter = code};
    return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}
void evpnd_grow_receive_buffer(int descriptor, int octets) {
    // Beyond net.core.rmem_max only with CAP_NET_ADMIN.
    if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof octets) < 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
}
int evpnd_receive_arp(int descriptor, void *buffer, size_t size, unsigned char source[6], unsigned *interface) {
    struct sockaddr_ll from = {0};
    socklen_t length = sizeof from;
    ssize_t count = recvfrom(descriptor, buffer, size, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
    if (count < 0) return -errno;
    // What this host sends itself is not heard, nor what has no Ethernet address.
    if (from.sll_halen != 6 || from.sll_pkttype == PACKET_OUTGOING) return 0;
    memcpy(source, from.sll_addr, 6);
    *interface = from.sll_ifindex;
    return (int)count;
}
int evpnd_send_frame(int descriptor, unsigned interface, const unsigned char destination[6], unsigned short protocol, const void *bytes, size_t size) {
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = interface, .sll_halen = 6};
    memcpy(to.sll_addr, destination, 6);
    return sendto(descriptor, bytes, size, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) < 0 ? -errno : 0;
}
