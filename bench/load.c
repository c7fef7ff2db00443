/* The load generator of the bench for everything that wrk cannot measure: events, first events, gaps, held streams.
 *
 *   load PORT FILE [name=value ...]     sends the bytes of FILE, a whole HTTP request, again and again
 *
 *   connections=64   each sends its next request when the reply before it has ended
 *   seconds=2        then the replies that run are cut; what came of them counts, but not as requests
 *   requests=0       end after so many replies instead (0: no bound)
 *   new=0            1: a new connection for each request; its making is part of the times
 *   ramp_ms=0        over how long the first requests are spread
 *   hold=0           1: one request a connection; prints "open N" when each has its first event (or has failed), and
 *                    ends when stdin does
 *
 * Prints one line of JSON at the end. Times are in microseconds. A reply with another status than 200, or one that
 * breaks off, is an error. An event is what an empty line ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEAD_LIMIT 32768
#define CLOSED_BY_END (-2) /* a body without a length: the connection's end is its end */

enum { IDLE, SENDING, HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, DONE };

typedef struct {
    int fd, state;
    bool ended_line, first_seen, bad, close_after;
    size_t sent, head_len, size_len;
    char *head, size[32];
    long long left;              /* of the body, or of the chunk */
    uint64_t start, begun, last; /* ns: when it may begin, when it began, its last event */
} Conn;

typedef struct { float *us; size_t len, cap; } Samples;

static int poller, port;
static char *request;
static size_t request_len;
static uint64_t started, read_at;
static long connections = 64, new_each, ramp_ms, bound, hold;
static double seconds = 2;
static unsigned long long replies, errors, events, bytes;
static long opened;
static Samples whole, first, gaps;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void note(Samples *of, uint64_t ns) {
    if (of->len == of->cap) {
        of->cap = of->cap * 2 + 1024;
        of->us = realloc(of->us, of->cap * sizeof *of->us);
        if (!of->us) { perror("load"); exit(1); }
    }
    of->us[of->len++] = (float)ns / 1000;
}

/* ---- Connections ---- */

static void open_conn(Conn *conn) {
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) { perror("load: socket"); exit(1); }
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connect(conn->fd, (struct sockaddr *)&address, sizeof address); /* what it fails with, the first send tells */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = conn};
    epoll_ctl(poller, EPOLL_CTL_ADD, conn->fd, &event);
}

static void shut(Conn *conn) {
    if (conn->fd >= 0) close(conn->fd);
    conn->fd = -1;
}

static void push(Conn *conn);

static void begin(Conn *conn) {
    conn->begun = now_ns();
    conn->state = SENDING;
    conn->sent = conn->head_len = conn->size_len = 0;
    conn->ended_line = conn->first_seen = conn->bad = conn->close_after = false;
    if (conn->fd < 0) open_conn(conn);
    else push(conn);
}

static void reply_ended(Conn *conn) {
    replies++;
    if (conn->bad) errors++;
    else note(&whole, now_ns() - conn->begun);
    if (hold || (bound && replies >= (unsigned long long)bound)) {
        conn->state = IDLE;
        conn->start = UINT64_MAX;
        return;
    }
    if (new_each || conn->close_after) shut(conn);
    begin(conn);
}

/* A broken one is not tried again at once: a server that refuses would be stormed. */
static void failed(Conn *conn) {
    errors++;
    if (hold && !conn->first_seen) opened++;
    shut(conn);
    conn->state = IDLE;
    conn->start = hold ? UINT64_MAX : now_ns() + 20000000u;
}

static void push(Conn *conn) {
    while (conn->sent < request_len) {
        ssize_t took = send(conn->fd, request + conn->sent, request_len - conn->sent, MSG_NOSIGNAL);
        if (took < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
        if (took < 0) { failed(conn); return; }
        conn->sent += (size_t)took;
    }
    conn->state = HEAD;
}

/* ---- Replies ---- */

static void count_events(Conn *conn, const char *data, size_t len) {
    unsigned long long before = events;
    bytes += len;
    if (conn->ended_line && len && data[0] == '\n') events++;
    for (const char *at = data, *end = data + len; (at = memchr(at, '\n', (size_t)(end - at))); at++)
        if (at + 1 < end && at[1] == '\n') events++;
    conn->ended_line = len && data[len - 1] == '\n';
    if (events == before) return;
    if (!conn->first_seen) {
        note(&first, read_at - conn->begun);
        conn->first_seen = true;
        opened++;
    } else if (conn->last != read_at) note(&gaps, read_at - conn->last); /* what is read at once has no gap */
    conn->last = read_at;
}

static void read_head(Conn *conn) {
    conn->head[conn->head_len] = 0;
    conn->bad = strncmp(conn->head, "HTTP/1.1 200", 12) != 0;
    if (conn->bad && errors == 0) fprintf(stderr, "load: %.*s\n", (int)strcspn(conn->head, "\r"), conn->head);
    conn->close_after = strcasestr(conn->head, "\r\nconnection: close") != NULL;
    char *length = strcasestr(conn->head, "\r\ncontent-length:");
    if (strcasestr(conn->head, "\r\ntransfer-encoding: chunked")) { conn->state = CHUNK_SIZE; return; }
    conn->left = length ? atoll(length + 17) : CLOSED_BY_END;
    conn->state = conn->left ? BODY : DONE;
}

static size_t take_head(Conn *conn, const char *data, size_t len) {
    size_t had = conn->head_len, room = HEAD_LIMIT - 1 - had, part = len < room ? len : room;
    if (!part) { conn->bad = true; conn->state = DONE; return len; }
    memcpy(conn->head + had, data, part);
    conn->head_len += part;
    size_t from = had > 3 ? had - 3 : 0;
    char *end = memmem(conn->head + from, conn->head_len - from, "\r\n\r\n", 4);
    if (!end) return part;
    size_t head = (size_t)(end + 4 - conn->head);
    conn->head_len = head;
    read_head(conn);
    return head - had;
}

static size_t take_body(Conn *conn, const char *data, size_t len, int then) {
    size_t part = conn->left == CLOSED_BY_END || (long long)len < conn->left ? len : (size_t)conn->left;
    count_events(conn, data, part);
    if (conn->left != CLOSED_BY_END && (conn->left -= (long long)part) == 0) conn->state = then;
    return part;
}

static size_t take_chunk_size(Conn *conn, const char *data, size_t len) {
    const char *end = memchr(data, '\n', len);
    size_t part = end ? (size_t)(end + 1 - data) : len;
    for (size_t n = 0; n < part && conn->size_len < sizeof conn->size - 1; n++) conn->size[conn->size_len++] = data[n];
    if (!end) return part;
    conn->size[conn->size_len] = 0;
    conn->size_len = 0;
    conn->left = strtoll(conn->size, NULL, 16);
    conn->state = conn->left ? CHUNK_DATA : CHUNK_END;
    if (!conn->left) conn->left = -1; /* of the last chunk: CHUNK_END ends the reply */
    return part;
}

static size_t take_chunk_end(Conn *conn, const char *data, size_t len) {
    const char *end = memchr(data, '\n', len);
    if (!end) return len;
    conn->state = conn->left == -1 ? DONE : CHUNK_SIZE; /* no trailers are sent here */
    return (size_t)(end + 1 - data);
}

static void feed(Conn *conn, const char *data, size_t len) {
    while (len && conn->state > SENDING && conn->state < DONE) {
        size_t took = conn->state == HEAD         ? take_head(conn, data, len)
                      : conn->state == BODY       ? take_body(conn, data, len, DONE)
                      : conn->state == CHUNK_SIZE ? take_chunk_size(conn, data, len)
                      : conn->state == CHUNK_DATA ? take_body(conn, data, len, CHUNK_END)
                                                  : take_chunk_end(conn, data, len);
        data += took;
        len -= took;
    }
    if (conn->state == DONE) reply_ended(conn);
}

static void pull(Conn *conn) {
    static char buffer[1 << 18];
    while (conn->fd >= 0) {
        ssize_t got = recv(conn->fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got > 0) {
            read_at = now_ns();
            if (conn->state == SENDING) conn->state = HEAD; /* refused before it was read: no more is sent */
            unsigned long long before = replies;
            feed(conn, buffer, (size_t)got);
            if (replies != before) return; /* what comes next wakes us again; the others have their turn first */
            continue;
        }
        if (got == 0 && conn->state == BODY && conn->left == CLOSED_BY_END) {
            conn->close_after = true;
            reply_ended(conn);
        } else if (conn->state != IDLE) failed(conn);
        else shut(conn);
        return;
    }
}

/* ---- The run ---- */

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void tell(const char *name, Samples *of) {
    if (of->len == 0) return;
    qsort(of->us, of->len, sizeof *of->us, by_size);
    printf(", \"%s_p50\": %.1f, \"%s_p99\": %.1f, \"%s_max\": %.1f", name, of->us[of->len / 2], name,
           of->us[of->len * 99 / 100], name, of->us[of->len - 1]);
}

static void report(void) {
    printf("{\"requests\": %llu, \"errors\": %llu, \"events\": %llu, \"bytes\": %llu, \"seconds\": %.4f", replies, errors,
           events, bytes, (double)(now_ns() - started) / 1e9);
    tell("whole", &whole);
    tell("first", &first);
    tell("gap", &gaps);
    puts("}");
}

static bool start_due(Conn *conns) {
    uint64_t now = now_ns();
    bool waits = false;
    for (long n = 0; n < connections; n++) {
        Conn *conn = &conns[n];
        if (conn->state != IDLE || conn->start == UINT64_MAX) continue;
        if (conn->start > now) { waits = true; continue; }
        conn->start = hold ? UINT64_MAX : 0;
        begin(conn);
    }
    return waits;
}

static void run(Conn *conns) {
    struct epoll_event ready[512], input = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = NULL};
    uint64_t end = started + (uint64_t)(seconds * 1e9);
    bool told = false, waits = true;
    if (hold) epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &input);
    for (;;) {
        if (waits || errors) waits = start_due(conns);
        uint64_t now = now_ns();
        if ((!hold && now >= end) || (bound && replies >= (unsigned long long)bound)) return;
        long rest = hold ? 1000 : (long)((end - now) / 1000000) + 1;
        int count = epoll_wait(poller, ready, 512, waits ? 1 : rest < 10 && errors == 0 ? (int)rest : 10);
        for (int n = 0; n < count; n++) {
            Conn *conn = ready[n].data.ptr;
            if (!conn) return; /* stdin */
            if (conn->state == SENDING && (ready[n].events & (EPOLLOUT | EPOLLERR))) push(conn);
            if (ready[n].events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) pull(conn);
        }
        if (hold && !told && opened >= connections) {
            told = true;
            printf("open %llu\n", (unsigned long long)first.len);
            fflush(stdout);
        }
    }
}

static void read_request(const char *path) {
    FILE *file = fopen(path, "rb");
    struct stat about;
    if (!file || fstat(fileno(file), &about)) { perror(path); exit(1); }
    request_len = (size_t)about.st_size;
    request = malloc(request_len + 1);
    if (!request || fread(request, 1, request_len, file) != request_len) { perror(path); exit(1); }
    fclose(file);
}

static void read_option(const char *option) {
    const char *value = strchr(option, '=');
    if (!value++) { fprintf(stderr, "load: %s is not name=value\n", option); exit(2); }
    if (!strncmp(option, "connections=", 12)) connections = atol(value);
    else if (!strncmp(option, "seconds=", 8)) seconds = atof(value);
    else if (!strncmp(option, "requests=", 9)) bound = atol(value);
    else if (!strncmp(option, "new=", 4)) new_each = atol(value);
    else if (!strncmp(option, "ramp_ms=", 8)) ramp_ms = atol(value);
    else if (!strncmp(option, "hold=", 5)) hold = atol(value);
    else { fprintf(stderr, "load: %s: there is no such option\n", option); exit(2); }
}

int main(int argc, char **argv) {
    if (argc < 3) { fprintf(stderr, "load PORT FILE [name=value ...]\n"); return 2; }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    port = atoi(argv[1]);
    read_request(argv[2]);
    for (int n = 3; n < argc; n++) read_option(argv[n]);
    poller = epoll_create1(EPOLL_CLOEXEC);
    Conn *conns = calloc((size_t)connections, sizeof *conns);
    started = now_ns();
    for (long n = 0; n < connections; n++) {
        conns[n].fd = -1;
        conns[n].head = malloc(HEAD_LIMIT);
        conns[n].start = started + (uint64_t)(ramp_ms * 1000000 / connections * n);
    }
    run(conns);
    report();
    return 0;
}
