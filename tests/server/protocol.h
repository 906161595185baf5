/* What both protocols share: from a request to a reply, and an answer with a fault onto the wire.
 */
#ifndef SERVER_PROTOCOL_H
#define SERVER_PROTOCOL_H

#include "tests/server/request.h"

/* Counts the request, looks for a fault and answers it. False: there is no such method. */
bool protocol_reply(server *s, const request *r, size_t limit, reply *out);

/* Spoils the JSON text of an answer as the fault wants it. */
void protocol_spoil(const reply *rep, text *json);

/* Sends the finished answer as the fault wants it; takes over its bytes. */
void protocol_send(server *s, conn *c, const reply *rep, text *answer);

/* Adds what an endless answer repeats. */
void protocol_endless(text *out);

/* The id that the answer carries. */
const char *protocol_id(const request *r, const reply *rep);

#endif
