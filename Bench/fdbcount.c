// fdbcount IFNAME N : prints CLOCK_MONOTONIC when the Nth unicast FDB entry of a VXLAN device has been added, and when the Nth has been
// removed again. Counts notifications, because dumps of large tables are quadratic in the kernel.
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    unsigned device = if_nametoindex(argv[1]);
    long want = atol(argv[2]), added = 0, removed = 0, lost = 0;
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), size = 512 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_NEIGH};
    if (bind(fd, (void *)&address, sizeof address)) return perror("bind"), 1;
    printf("ready\n");
    fflush(stdout);
    static char buffer[1 << 16];
    for (;;) {
        int length = recv(fd, buffer, sizeof buffer, 0);
        if (length < 0) { lost++; continue; }
        for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, length); h = NLMSG_NEXT(h, length)) {
            struct ndmsg *n = NLMSG_DATA(h);
            if (n->ndm_family != AF_BRIDGE || n->ndm_ifindex != (int)device || !(n->ndm_flags & NTF_SELF)) continue;
            if (h->nlmsg_type == RTM_NEWNEIGH && ++added == want) printf("added %.6f lost %ld\n", now(), lost), fflush(stdout);
            if (h->nlmsg_type == RTM_DELNEIGH && ++removed == want) return printf("removed %.6f lost %ld\n", now(), lost), 0;
        }
    }
}
