/* A plain client for the tests of the server: it sends what it is told and shows what comes back.
 */
#ifndef SERVER_WIRE_H
#define SERVER_WIRE_H

#include "tests/support/support.h"

/* Connects to "scheme://127.0.0.1:PORT"; ends the test if that fails. */
int wire_connect(const char *url);
void wire_send(int fd, const char *bytes, size_t len);
/* Everything up to a line end and with it, NUL added; the caller frees it. NULL if the connection
 * ends before. *len may be NULL. */
char *wire_line(int fd, size_t *len);
/* As much as comes until the connection ends, at most `cap` bytes. */
char *wire_rest(int fd, size_t cap, size_t *len);
/* Nothing comes for this long. */
bool wire_silent(int fd, int ms);
/* The connection has been closed by the server: nothing but its end comes. */
bool wire_closed(int fd);

/* Sends an ElectrumX request, {"id":1, …}, and returns the answer's line. */
char *wire_call(int fd, const char *method, const char *params);
/* Connects and introduces itself. */
int wire_electrumx(const char *url);

/* Sends `body` as POST on a connection kept alive; returns the answer's body and sets *head to its
 * head (both to be freed). `credentials` is base64 or NULL. */
char *wire_post(int fd, const char *credentials, const char *body, char **head, size_t *len);
/* Sends any HTTP request and reads the answer as above. */
char *wire_http(int fd, const char *request, char **head, size_t *len);

#endif
