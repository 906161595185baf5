/*
 * A transaction in full, cut down to what tells its height and to as many bytes as it should have:
 * firod's getrawtransaction, and ElectrumX's blockchain.transaction.get that passes it on. Only the
 * verbose form is known.
 */
#include "tests/server/request.h"

#include <string.h>

static void fail(reply *out, reply_kind kind, int code, const char *message)
{
    out->kind = kind;
    out->code = code;
    text_put(&out->body, message);
}

static bool by_electrumx(const request *r)
{
    return strncmp(r->method, "blockchain.", 11) == 0;
}

/* A server that cannot tell: an ElectrumX without the method, a firod without -txindex. */
static void fail_unable(const request *r, reply *out)
{
    if (by_electrumx(r))
        fail(out, REPLY_ERROR, -32601, "unknown method \\\"blockchain.transaction.get\\\"");
    else
        fail(out, REPLY_DAEMON_ERROR, -5,
             "No such mempool transaction. Use -txindex to enable blockchain transaction queries. "
             "Use gettransaction for wallet transactions.");
}

static uint8_t hex_value(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Hashes are printed from their last byte to their first. */
static bool read_txid(uint8_t *hash, const param *p)
{
    if (!p->is_string || strlen(p->value) != (size_t)2 * HASH ||
        strspn(p->value, "0123456789abcdef") != (size_t)2 * HASH)
        return false;
    for (size_t i = 0; i < HASH; i++) {
        const char *digits = p->value + 2 * (HASH - 1 - i);
        hash[i] = (uint8_t)(hex_value(digits[0]) << 4 | hex_value(digits[1]));
    }
    return true;
}

static bool is_verbose(const request *r)
{
    const param *p = &r->params[1];
    return !p->is_string &&
           (strcmp(p->value, "true") == 0 || (!by_electrumx(r) && strcmp(p->value, "1") == 0));
}

static bool read_request(const request *r, uint8_t *hash, reply *out)
{
    if (!read_txid(hash, &r->params[0])) {
        fail(out, REPLY_ERROR, by_electrumx(r) ? 1 : -8, "parameter 1 is no transaction hash");
        return false;
    }
    if (!is_verbose(r)) {
        fail(out, REPLY_ERROR, by_electrumx(r) ? 1 : -3, "verbose is not asked for");
        return false;
    }
    return true;
}

static void put_transaction(const server *s, const char *txid, int64_t height, text *out)
{
    text_put(out, "{\"hex\":\"");
    text_fill(out, '0', (size_t)s->tx_bytes * 2);
    text_format(out,
                "\",\"txid\":\"%s\",\"size\":%llu,\"version\":3,\"locktime\":0,"
                "\"vin\":[{\"scriptSig\":{\"asm\":\"\",\"hex\":\"d3\"},\"sequence\":4294967295}],"
                "\"vout\":[{\"value\":0.00000000,\"n\":0,\"scriptPubKey\":{\"hex\":\"d1\"}}]",
                txid, (unsigned long long)s->tx_bytes);
    if (height != 0)
        text_format(out, ",\"height\":%lld,\"confirmations\":1", (long long)height);
    text_put(out, "}");
}

void answer_transaction(server *s, const request *r, size_t limit, reply *out)
{
    uint8_t hash[HASH];
    uint32_t mined;
    (void)limit;
    if (!s->heights) {
        fail_unable(r, out);
        return;
    }
    if (!read_request(r, hash, out))
        return;
    if (!s->chain->source->height(s->chain, hash, &mined)) {
        fail(out, REPLY_DAEMON_ERROR, -5,
             "No such mempool or blockchain transaction. Use gettransaction for wallet "
             "transactions.");
        return;
    }
    int64_t height = mined;
    if (out->has_fault && out->fault.kind == FAULT_HEIGHT)
        height += out->fault.has_arg ? out->fault.arg : 1;
    put_transaction(s, r->params[0].value, height, &out->body);
}
