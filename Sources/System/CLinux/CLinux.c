#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/socket.h>
#include <string.h>
#include <sys/socket.h>

int evpnd_setns(int descriptor, int type) { return setns(descriptor, type); }
int evpnd_unshare(int flags) { return unshare(flags); }

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
