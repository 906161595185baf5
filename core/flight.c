#include "core/flight.h"

#include <string.h>

bool as_flight_add(as_flight *flight, const anonset_request *request, as_asked asked)
{
    if (flight->n == AS_FLIGHT_MAX)
        return false;
    flight->requests[flight->n] = *request;
    flight->requests[flight->n].id = ++flight->last_id;
    flight->asked[flight->n] = asked;
    flight->n++;
    return true;
}

bool as_flight_pop(as_flight *flight, anonset_request *request)
{
    if (flight->sent == flight->n)
        return false;
    *request = flight->requests[flight->sent++];
    return true;
}

static void erase(as_flight *flight, size_t i)
{
    size_t behind = flight->n - i - 1;
    memmove(&flight->requests[i], &flight->requests[i + 1], behind * sizeof flight->requests[0]);
    memmove(&flight->asked[i], &flight->asked[i + 1], behind * sizeof flight->asked[0]);
    flight->n--;
    flight->sent--;
}

bool as_flight_take(as_flight *flight, as_asked *asked, uint32_t id)
{
    for (size_t i = 0; i < flight->sent; i++) {
        if (flight->requests[i].id == id) {
            *asked = flight->asked[i];
            erase(flight, i);
            return true;
        }
    }
    return false;
}

bool as_flight_has(const as_flight *flight, as_role role)
{
    for (size_t i = 0; i < flight->n; i++)
        if (flight->asked[i].role == role)
            return true;
    return false;
}

void as_flight_ignore(as_flight *flight)
{
    flight->n = flight->sent;
    for (size_t i = 0; i < flight->n; i++)
        flight->asked[i].role = AS_ASK_NOTHING;
}

void as_flight_void(as_flight *flight)
{
    flight->n = flight->sent = 0;
}
