// routecount N : prints CLOCK_MONOTONIC when the Nth route that is not the kernel's own has been added to the main table of this network
// namespace, and when the Nth has been removed again. Counts notifications.
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    long want = atol(argv[1]), added = 0, removed = 0, lost = 0;
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), size = 512 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_ROUTE};
    if (bind(fd, (void *)&address, sizeof address)) return perror("bind"), 1;
    printf("ready\n");
    fflush(stdout);
    static char buffer[1 << 16];
    for (;;) {
        int length = recv(fd, buffer, sizeof buffer, 0);
        if (length < 0) { lost++; continue; }
        for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, length); h = NLMSG_NEXT(h, length)) {
            struct rtmsg *r = NLMSG_DATA(h);
            if (r->rtm_table != RT_TABLE_MAIN || r->rtm_protocol == RTPROT_KERNEL || h->nlmsg_flags & NLM_F_REPLACE) continue;
            if (h->nlmsg_type == RTM_NEWROUTE && ++added == want) printf("added %.6f lost %ld\n", now(), lost), fflush(stdout);
            if (h->nlmsg_type == RTM_DELROUTE && ++removed == want) return printf("removed %.6f lost %ld\n", now(), lost), 0;
        }
    }
}
