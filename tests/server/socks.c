/* A SOCKS5 proxy that leads to this very server: the port asked for chooses the protocol. */
#include "tests/server/server.h"

#include <sys/socket.h>

static void send_bytes(server *s, conn *c, const char *bytes, size_t len)
{
    text out = {0};
    text_add(&out, bytes, len);
    conn_send(s, c, &out);
}

/* Bytes of the address behind its type, the type's own included; 0: more are needed. */
static size_t address_len(const text *in)
{
    const uint8_t *b = (const uint8_t *)in->data;
    if (in->len < 5)
        return 0;
    size_t len = b[3] == 1 ? 5 : b[3] == 4 ? 17 : 2 + (size_t)b[4];
    return in->len >= 3 + len + 2 ? len : 0;
}

/* The connection becomes one of the protocol that listens on this port. */
static bool become(server *s, conn *c, uint16_t number)
{
    static const conn_kind kinds[PORTS] = {
        [PORT_ELECTRUMX] = CONN_ELECTRUMX,
        [PORT_FIROD] = CONN_FIROD,
        [PORT_ELECTRUMX_TLS] = CONN_ELECTRUMX,
        [PORT_FIROD_TLS] = CONN_FIROD,
    };
    for (int i = 0; i < PORTS; i++) {
        if (s->listeners[i] < 0 || s->ports[i] != number || i == PORT_CONTROL || i == PORT_SOCKS)
            continue;
        c->kind = kinds[i];
        if (i == PORT_ELECTRUMX_TLS || i == PORT_FIROD_TLS) {
            c->ssl = SSL_new(s->tls);
            if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1)
                die("no TLS session");
            SSL_set_accept_state(c->ssl);
        }
        return true;
    }
    return false;
}

static bool take_connect(server *s, conn *c)
{
    size_t len = address_len(&c->in);
    if (len == 0)
        return false;
    const uint8_t *b = (const uint8_t *)c->in.data;
    uint16_t number = (uint16_t)(b[3 + len] << 8 | b[3 + len + 1]);
    s->count[COUNT_SOCKS]++;
    s->count[COUNT_SOCKS_NAMES] += b[3] == 3;
    text_drop(&c->in, 3 + len + 2);
    if (c->in.len > 0 || !become(s, c, number)) {
        send_bytes(s, c, "\5\5\0\1\0\0\0\0\0\0", 10);
        c->last->close_after = true;
        return true;
    }
    /* Past the queue, for it goes out before any TLS; so few bytes fit the socket's empty buffer.
     */
    if (send(c->fd, "\5\0\0\1\0\0\0\0\0\0", 10, MSG_NOSIGNAL) != 10)
        conn_cut(s, c);
    return true;
}

bool socks_take(server *s, conn *c)
{
    if (c->greeted)
        return take_connect(s, c);
    if (c->in.len < 2 || c->in.len < 2 + (size_t)(uint8_t)c->in.data[1])
        return false;
    text_drop(&c->in, 2 + (size_t)(uint8_t)c->in.data[1]);
    c->greeted = true;
    send_bytes(s, c, "\5\0", 2);
    return true;
}
