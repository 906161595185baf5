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
    if (i < flight->sent)
        flight->sent--;
}

/* Where on the wire the request with this id is; `sent`: nowhere. */
static size_t place_of(const as_flight *flight, uint32_t id)
{
    size_t i = 0;
    while (i < flight->sent && flight->requests[i].id != id)
        i++;
    return i;
}

bool as_flight_find(const as_flight *flight, as_asked *asked, uint32_t id)
{
    size_t i = place_of(flight, id);
    if (i == flight->sent)
        return false;
    *asked = flight->asked[i];
    return true;
}

bool as_flight_take(as_flight *flight, as_asked *asked, uint32_t id)
{
    if (!as_flight_find(flight, asked, id))
        return false;
    erase(flight, place_of(flight, id));
    return true;
}

bool as_flight_has(const as_flight *flight, as_role role)
{
    return as_flight_count(flight, role) > 0;
}

size_t as_flight_count(const as_flight *flight, as_role role)
{
    size_t count = 0;
    for (size_t i = 0; i < flight->n; i++)
        count += flight->asked[i].role == role;
    return count;
}

uint32_t as_flight_lowest(const as_flight *flight, as_role role)
{
    uint32_t lowest = UINT32_MAX;
    for (size_t i = 0; i < flight->n; i++)
        if (flight->asked[i].role == role && flight->asked[i].lo < lowest)
            lowest = flight->asked[i].lo;
    return lowest;
}

void as_flight_ignore(as_flight *flight)
{
    as_flight_ignore_from(flight, AS_ASK_NOTHING, 0);
}

void as_flight_ignore_from(as_flight *flight, as_role role, uint32_t lo)
{
    for (size_t i = flight->n; i-- > 0;) {
        if (flight->asked[i].role == role && flight->asked[i].lo < lo)
            continue;
        if (i >= flight->sent)
            erase(flight, i);
        else
            flight->asked[i].role = AS_ASK_NOTHING;
    }
}

void as_flight_void(as_flight *flight)
{
    flight->n = flight->sent = 0;
}
