/* The upstream of the bench: one thread, epoll, HTTP/1.1 with keep-alive, replies made beforehand.
 *
 *   mock PORT          listens on 127.0.0.1:PORT (0: a free one), prints "port N"
 *
 * The path chooses the format: /v1/messages, /v1/messages/count_tokens, /v1/chat/completions,
 * /v1beta/models/X:generateContent and :streamGenerateContent. `"stream": true` in the body asks for a stream, of 60
 * events in one write. A directive anywhere in the text of the request asks for something else, whatever a gateway does
 * to the request around it (of bodies above 64 KB only the first and last 16 KB are looked at):
 *
 *   [mock paced interval_us=5000 deltas=100]   a delta every interval; the first comes at once, with the start
 *   [mock idle seconds=60]                     the start and one delta, then silence, then the end
 *   [mock large kb=1024]                       a reply with so much text, streamed or not; in deltas of 1 KB,
 *                                              or with `each=64` of so many
 *
 * Each reply has a `request-id`, a `date` and a rate limit's reset of its own, as a provider's have: a client that looks
 * lines up which it has seen before is not to look faster here than it is.
 *
 * GET /_mock/stats tells what was counted, GET /_mock/release ends the idle streams.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define BURST_EVENTS 60
#define LOOKED_AT 16384
#define KEPT_BYTES (1 << 20) /* a connection's buffer above this is given back after its request */

enum { MESSAGES, CHAT, GEMINI, FORMATS };

typedef struct { char *data; size_t len, cap; } Text;

typedef struct { /* of one format; the streams' parts are HTTP chunks */
    Text json, open, delta, close, burst;
} Replies;

typedef struct {
    int fd, format, slot;       /* slot: place in the heap of timers, -1 when in none */
    bool idle, wants_write;
    Text in, out;               /* out: what the socket did not take */
    size_t wanted;              /* bytes of `in` before it is worth looking again */
    long deltas_left;
    uint64_t due, interval;     /* ns */
} Conn;

static Replies replies[FORMATS];
static Text count_reply, missing;
static int poller, timer;
static char listener_mark; /* its address stands for the listener among what epoll gives back */
static Conn **heap;
static int heap_len, heap_cap;
static uint64_t armed;
static unsigned long long requests, events, received, sent, opened, open_now;

/* What is new in each reply: `renew` counts on where the zeros are. */
#define VARYING \
    "date: Sat, 21 Nov 2026 13:20:00 GMT\r\nrequest-id: req_011CSHoEeqs500000000\r\n" \
    "anthropic-ratelimit-requests-reset: 2026-11-21T13:20:00Z\r\n"
static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    VARYING "transfer-encoding: chunked\r\n\r\n";
static const char WORDS[] = "the quick brown fox jumps over the lazy dog while nobody looks ";

static void *must(void *p) {
    if (p == NULL) { perror("mock"); exit(1); }
    return p;
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void reserve(Text *text, size_t more) {
    if (text->len + more <= text->cap) return;
    text->cap = (text->len + more) * 2;
    text->data = must(realloc(text->data, text->cap));
}

static void append(Text *text, const char *data, size_t len) {
    reserve(text, len);
    memcpy(text->data + text->len, data, len);
    text->len += len;
}

static void print(Text *text, const char *format, ...) {
    va_list values;
    reserve(text, 4096);
    va_start(values, format);
    text->len += (size_t)vsnprintf(text->data + text->len, 4096, format, values);
    va_end(values);
}

static void empty(Text *text) {
    text->len = 0;
    if (text->cap <= KEPT_BYTES) return;
    free(text->data);
    *text = (Text){0};
}

/* ---- The replies ---- */

static void chunk(Text *stream, const char *format, ...) {
    char small[4096], *event = small;
    va_list values;
    va_start(values, format);
    int len = vsnprintf(small, sizeof small, format, values);
    va_end(values);
    if ((size_t)len >= sizeof small) {
        event = malloc((size_t)len + 1);
        if (event == NULL) { perror("mock"); exit(1); }
        va_start(values, format);
        vsnprintf(event, (size_t)len + 1, format, values);
        va_end(values);
    }
    print(stream, "%x\r\n", (unsigned)len);
    append(stream, event, (size_t)len);
    append(stream, "\r\n", 2);
    if (event != small) free(event);
}

static void words(Text *text, size_t len) {
    for (size_t done = 0; done < len;) {
        size_t part = len - done < sizeof WORDS - 1 ? len - done : sizeof WORDS - 1;
        append(text, WORDS, part);
        done += part;
    }
}

static const char *JSON_PARTS[FORMATS][2] = {
    {"{\"model\":\"claude-opus-4-8\",\"id\":\"msg_013Zva2CMHLNnXjNJJKqJ2EF\",\"type\":\"message\",\"role\":\"assistant\","
     "\"content\":[{\"type\":\"text\",\"text\":\"",
     "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":231,"
     "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,"
     "\"ephemeral_1h_input_tokens\":0},\"output_tokens\":42,\"service_tier\":\"standard\"}}"},
    {"{\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion\",\"created\":1764000000,"
     "\"model\":\"gpt-5\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"",
     "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":231,"
     "\"completion_tokens\":42,\"total_tokens\":273}}"},
    {"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"",
     "\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":231,"
     "\"candidatesTokenCount\":42,\"totalTokenCount\":273},\"modelVersion\":\"gemini-3-pro\",\"responseId\":\"mAitaLmk\"}"},
};

static void json_reply(Text *reply, int format, size_t text_bytes) {
    const char *before = JSON_PARTS[format][0], *after = JSON_PARTS[format][1];
    print(reply, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" VARYING
          "content-length: %zu\r\n\r\n", strlen(before) + text_bytes + strlen(after));
    append(reply, before, strlen(before));
    words(reply, text_bytes);
    append(reply, after, strlen(after));
}

/* How many events open a stream of this format, and how many close it. */
static const int OPENING[FORMATS] = {2, 1, 0}, CLOSING[FORMATS] = {3, 3, 1};

static void open_stream(Text *to, int format) {
    if (format == MESSAGES) {
        chunk(to, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-opus-4-8\",\"id\":"
              "\"msg_013Zva2CMHLNnXjNJJKqJ2EF\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"stop_reason\":null,"
              "\"stop_sequence\":null,\"usage\":{\"input_tokens\":231,\"cache_creation_input_tokens\":0,"
              "\"cache_read_input_tokens\":0,\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n");
        chunk(to, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
              "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    } else if (format == CHAT) {
        chunk(to, "data: {\"id\":\"chatcmpl-B9MBs8Cj\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":"
              "\"gpt-5\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n");
    }
}

static void delta(Text *to, int format, const char *text) {
    if (format == MESSAGES)
        chunk(to, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
              "\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}\n\n", text);
    else if (format == CHAT)
        chunk(to, "data: {\"id\":\"chatcmpl-B9MBs8Cj\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":"
              "\"gpt-5\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"},\"finish_reason\":null}]}\n\n", text);
    else
        chunk(to, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"%s\"}],\"role\":\"model\"},\"index\":0}],"
              "\"modelVersion\":\"gemini-3-pro\",\"responseId\":\"mAitaLmk\"}\r\n\r\n", text);
}

static void close_stream(Text *to, int format) {
    if (format == MESSAGES) {
        chunk(to, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n");
        chunk(to, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
              "\"stop_sequence\":null},\"usage\":{\"input_tokens\":231,\"cache_creation_input_tokens\":0,"
              "\"cache_read_input_tokens\":0,\"output_tokens\":55}}\n\n");
        chunk(to, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    } else if (format == CHAT) {
        chunk(to, "data: {\"id\":\"chatcmpl-B9MBs8Cj\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":"
              "\"gpt-5\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
        chunk(to, "data: {\"id\":\"chatcmpl-B9MBs8Cj\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":"
              "\"gpt-5\",\"choices\":[],\"usage\":{\"prompt_tokens\":231,\"completion_tokens\":55,\"total_tokens\":286}}\n\n");
        chunk(to, "data: [DONE]\n\n");
    } else {
        chunk(to, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},\"finishReason\":\"STOP\","
              "\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":231,\"candidatesTokenCount\":55,\"totalTokenCount\":286},"
              "\"modelVersion\":\"gemini-3-pro\",\"responseId\":\"mAitaLmk\"}\r\n\r\n");
    }
    append(to, "0\r\n\r\n", 5);
}

static long burst_deltas(int format) { return BURST_EVENTS - OPENING[format] - CLOSING[format]; }

static void prepare(int format) {
    Replies *of = &replies[format];
    json_reply(&of->json, format, 150);
    append(&of->open, STREAM_HEAD, sizeof STREAM_HEAD - 1);
    open_stream(&of->open, format);
    delta(&of->delta, format, " quick brown fox");
    close_stream(&of->close, format);
    append(&of->burst, of->open.data, of->open.len);
    for (long n = burst_deltas(format); n > 0; n--) append(&of->burst, of->delta.data, of->delta.len);
    append(&of->burst, of->close.data, of->close.len);
    append(&of->open, of->delta.data, of->delta.len); /* a paced stream begins with its first delta */
}

/* ---- Timers: a heap by due time, and one timerfd for its top ---- */

static void put(int slot, Conn *conn) { heap[slot] = conn; conn->slot = slot; }

static void sift(int slot, Conn *conn) {
    while (slot > 0 && heap[(slot - 1) / 2]->due > conn->due) {
        put(slot, heap[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    for (int child; (child = 2 * slot + 1) < heap_len; slot = child) {
        if (child + 1 < heap_len && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= conn->due) break;
        put(slot, heap[child]);
    }
    put(slot, conn);
}

static void schedule(Conn *conn, uint64_t due) {
    conn->due = due;
    if (conn->slot < 0) {
        if (heap_len == heap_cap) heap = must(realloc(heap, sizeof *heap * (size_t)(heap_cap = heap_cap * 2 + 64)));
        conn->slot = heap_len++;
        heap[conn->slot] = conn;
    }
    sift(conn->slot, conn);
}

static void unschedule(Conn *conn) {
    if (conn->slot < 0) return;
    Conn *last = heap[--heap_len];
    if (last != conn) sift(conn->slot, last);
    conn->slot = -1;
}

static void arm(void) {
    uint64_t due = heap_len ? heap[0]->due : 0;
    if (due == armed) return;
    armed = due;
    struct itimerspec when = {.it_value = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* ---- Connections ---- */

static void drop(Conn *conn) {
    if (conn->slot >= 0) open_now--;
    unschedule(conn);
    close(conn->fd);
    free(conn->in.data);
    free(conn->out.data);
    free(conn);
}

static void watch(Conn *conn, bool writing) {
    if (conn->wants_write == writing) return;
    conn->wants_write = writing;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (writing ? EPOLLOUT : 0), .data.ptr = conn};
    epoll_ctl(poller, EPOLL_CTL_MOD, conn->fd, &event);
}

/* What the socket does not take now waits in `out`. A broken connection is noticed by the next read. */
static void give(Conn *conn, const char *data, size_t len) {
    sent += len;
    if (conn->out.len == 0) {
        ssize_t took = send(conn->fd, data, len, MSG_NOSIGNAL);
        if (took == (ssize_t)len) return;
        if (took < 0 && errno != EAGAIN) return;
        if (took > 0) { data += took; len -= (size_t)took; }
    }
    append(&conn->out, data, len);
    watch(conn, true);
}

static void give_rest(Conn *conn) {
    ssize_t took = send(conn->fd, conn->out.data, conn->out.len, MSG_NOSIGNAL);
    if (took <= 0) return;
    memmove(conn->out.data, conn->out.data + took, conn->out.len - (size_t)took);
    conn->out.len -= (size_t)took;
    if (conn->out.len) return;
    empty(&conn->out);
    watch(conn, false);
}

static void give_text(Conn *conn, const Text *text) { give(conn, text->data, text->len); }

static void count_into(char *last, int digits, unsigned long long number) {
    for (; digits > 0; digits--, number /= 10) *last-- = (char)('0' + number % 10);
}

static void renew(Text *reply) {
    char *at = memmem(reply->data, reply->len, "\r\ndate: ", 8);
    count_into(at + sizeof "\r\ndate: Sat, 21 Nov 2026 13:20:00" - 2, 2, requests % 60);
    at = memmem(at, reply->len - (size_t)(at - reply->data), "\r\nrequest-id: ", 14);
    count_into(at + sizeof "\r\nrequest-id: req_011CSHoEeqs500000000" - 2, 8, requests);
    at = memmem(at, reply->len - (size_t)(at - reply->data), "\r\nanthropic", 11);
    count_into(at + sizeof "\r\nanthropic-ratelimit-requests-reset: 2026-11-21T13:20:00" - 2, 2, requests % 60);
}

/* A reply that begins with its head. */
static void give_reply(Conn *conn, Text *reply) {
    renew(reply);
    give_text(conn, reply);
}

static void end_stream(Conn *conn) {
    unschedule(conn);
    open_now--;
    conn->idle = false;
    events += (unsigned long long)CLOSING[conn->format];
    give_text(conn, &replies[conn->format].close);
}

static void tick(void) {
    uint64_t now = now_ns();
    armed = 0;
    while (heap_len && heap[0]->due <= now) {
        Conn *conn = heap[0];
        if (conn->deltas_left-- <= 0) { end_stream(conn); continue; }
        events++;
        give_text(conn, &replies[conn->format].delta);
        schedule(conn, conn->due + conn->interval);
    }
}

/* ---- Requests ---- */

static const char *find(const Text *body, const char *word) {
    size_t len = strlen(word);
    if (body->len <= 4 * LOOKED_AT) return memmem(body->data, body->len, word, len);
    const char *at = memmem(body->data, LOOKED_AT, word, len);
    return at ? at : memmem(body->data + body->len - LOOKED_AT, LOOKED_AT, word, len);
}

static bool asks_for_stream(const Text *body) {
    const char *at = find(body, "\"stream\"");
    if (!at) return false;
    for (at += 8; *at == ' ' || *at == ':'; at++) {}
    return strncmp(at, "true", 4) == 0;
}

static long option(const char *directive, const char *name, long otherwise) {
    char text[128] = {0};
    memccpy(text, directive, ']', sizeof text - 1);
    const char *at = strstr(text, name);
    return at ? atol(at + strlen(name)) : otherwise;
}

static void begin_stream(Conn *conn, long deltas, uint64_t interval, bool idle) {
    conn->deltas_left = deltas - 1;
    conn->interval = interval;
    conn->idle = idle;
    opened++;
    open_now++;
    events += (unsigned long long)OPENING[conn->format] + 1;
    give_reply(conn, &replies[conn->format].open);
    schedule(conn, now_ns() + interval);
}

static void give_large(Conn *conn, bool streamed, size_t bytes, size_t each) {
    Text reply = {0};
    if (!streamed) json_reply(&reply, conn->format, bytes);
    else {
        append(&reply, STREAM_HEAD, sizeof STREAM_HEAD - 1);
        open_stream(&reply, conn->format);
        char *text = malloc(each + 1);
        if (text == NULL) { perror("mock"); exit(1); }
        for (size_t n = 0; n < each; n++) text[n] = WORDS[n % (sizeof WORDS - 1)];
        text[each] = 0;
        for (size_t n = 0; n < bytes; n += each, events++) delta(&reply, conn->format, text);
        free(text);
        close_stream(&reply, conn->format);
        events += (unsigned long long)(OPENING[conn->format] + CLOSING[conn->format]);
    }
    give_reply(conn, &reply);
    free(reply.data);
}

static void release(void) {
    for (int slot = 0; slot < heap_len; slot++)
        if (heap[slot]->idle) { heap[slot]->due = 1; heap[slot]->deltas_left = 0; }
    for (int slot = heap_len / 2; slot >= 0 && heap_len; slot--) sift(slot, heap[slot]);
}

static void control(Conn *conn, const char *path) {
    Text reply = {0};
    char body[512];
    if (!strncmp(path, "/_mock/release", 14)) release();
    int len = snprintf(body, sizeof body, "{\"requests\":%llu,\"events\":%llu,\"received\":%llu,\"sent\":%llu,"
                       "\"streams\":%llu,\"open\":%llu}", requests, events, received, sent, opened, open_now);
    print(&reply, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", len, body);
    give_text(conn, &reply);
    free(reply.data);
}

static void answer(Conn *conn, const char *path, const Text *body) {
    if (!strncmp(path, "/_mock/", 7)) { control(conn, path); return; }
    requests++;
    bool streamed;
    if (strstr(path, "/count_tokens")) { give_text(conn, &count_reply); return; }
    if (strstr(path, "/messages")) { conn->format = MESSAGES; streamed = asks_for_stream(body); }
    else if (strstr(path, "/chat/completions")) { conn->format = CHAT; streamed = asks_for_stream(body); }
    else if (strstr(path, ":streamGenerateContent")) { conn->format = GEMINI; streamed = true; }
    else if (strstr(path, ":generateContent")) { conn->format = GEMINI; streamed = false; }
    else { give_text(conn, &missing); return; }

    const char *asked = find(body, "[mock ");
    if (asked && !strncmp(asked + 6, "large", 5)) {
        give_large(conn, streamed, (size_t)option(asked, "kb=", 1024) * 1024, (size_t)option(asked, "each=", 1) * 1024);
    } else if (!streamed) {
        give_reply(conn, &replies[conn->format].json);
    } else if (asked && !strncmp(asked + 6, "paced", 5)) {
        begin_stream(conn, option(asked, "deltas=", 100), (uint64_t)option(asked, "interval_us=", 5000) * 1000, false);
    } else if (asked && !strncmp(asked + 6, "idle", 4)) {
        begin_stream(conn, 1, (uint64_t)option(asked, "seconds=", 60) * 1000000000u, true);
    } else {
        events += BURST_EVENTS;
        give_reply(conn, &replies[conn->format].burst);
    }
}

/* Takes a chunked body together, in place. Gives where it ends in `from`, or 0 if it is not whole yet. */
static size_t unchunk(char *from, size_t len, Text *body) {
    size_t at = 0;
    *body = (Text){.data = from};
    for (;;) {
        char *line = memchr(from + at, '\n', len - at);
        if (!line) return 0;
        size_t size = strtoul(from + at, NULL, 16), data = (size_t)(line + 1 - from);
        if (data + size + 2 > len) return 0;
        if (size == 0) return data + 2; /* nobody here sends trailers */
        memmove(from + body->len, from + data, size);
        body->len += size;
        at = data + size + 2;
    }
}

/* Has the chunked body come to its end? Cheap, so that taking it together happens once. */
static bool ends_in_last_chunk(const Text *in) {
    return in->len >= 5 && !memcmp(in->data + in->len - 5, "0\r\n\r\n", 5);
}

/* Answers the request at the start of `in`, if it is whole; how many bytes it took. */
static size_t one_request(Conn *conn) {
    char *end = memmem(conn->in.data, conn->in.len, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = (size_t)(end + 4 - conn->in.data), taken;
    end[2] = 0;
    Text body = {.data = conn->in.data + head};
    char *length = strcasestr(conn->in.data, "\r\ncontent-length:");
    char *chunked = strcasestr(conn->in.data, "\r\ntransfer-encoding: chunked");
    end[2] = '\r';
    if (chunked) {
        if (!ends_in_last_chunk(&conn->in) || !(taken = unchunk(body.data, conn->in.len - head, &body))) return 0;
        taken += head;
    } else {
        if (length) body.len = strtoul(length + 17, NULL, 10);
        taken = head + body.len;
        conn->wanted = taken;
        if (conn->in.len < taken) { reserve(&conn->in, taken - conn->in.len + 1); return 0; }
    }
    char path[256] = {0};
    char *space = memchr(conn->in.data, ' ', head);
    if (space) memccpy(path, space + 1, ' ', sizeof path - 1);
    body.data[body.len] = 0; /* the buffer always has room for it; a pipelined request would lose its first letter */
    answer(conn, path, &body);
    return taken;
}

static void readable(Conn *conn) {
    reserve(&conn->in, conn->wanted > conn->in.len ? conn->wanted - conn->in.len + 1 : 16384);
    ssize_t got = recv(conn->fd, conn->in.data + conn->in.len, conn->in.cap - conn->in.len - 1, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) { drop(conn); return; }
    if (got < 0) return;
    received += (unsigned long long)got;
    conn->in.len += (size_t)got;
    if (conn->in.len < conn->wanted) return;
    size_t taken = one_request(conn);
    if (!taken) return;
    conn->wanted = 0;
    if (taken < conn->in.len) fprintf(stderr, "mock: pipelining is not supported\n");
    empty(&conn->in);
}

static void welcome(int listener) {
    int one = 1, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        Conn *conn = must(calloc(1, sizeof *conn));
        conn->fd = fd;
        conn->slot = -1;
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = conn};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_on(int port) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 8192)) { perror("mock: listen"); exit(1); }
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void serve(int listener) {
    struct epoll_event ready[256];
    for (;;) {
        arm();
        int count = epoll_wait(poller, ready, 256, -1);
        bool due = false;
        for (int n = 0; n < count; n++) {
            Conn *conn = ready[n].data.ptr;
            if (conn == (void *)&listener_mark) { welcome(listener); continue; }
            if (conn == (void *)&timer) { due = true; continue; }
            if (ready[n].events & EPOLLOUT) give_rest(conn);
            if (ready[n].events & ~(unsigned)EPOLLOUT) readable(conn);
        }
        if (due) tick(); /* last: it may not drop a connection that is still in `ready` */
    }
}

int main(int argc, char **argv) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int format = 0; format < FORMATS; format++) prepare(format);
    print(&count_reply, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{\"input_tokens\":231}");
    print(&missing, "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
    int listener = listen_on(argc > 1 ? atoi(argv[1]) : 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)&listener_mark};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    event = (struct epoll_event){.events = EPOLLIN | EPOLLET, .data.ptr = (void *)&timer};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event);
    serve(listener);
}
