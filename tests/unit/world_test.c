/* What the model of the node says of heights agrees with its own blocks. */
#include "tests/support/world.h"

#include <criterion/criterion.h>
#include <string.h>

static tw_reply reply; /* too large for a stack */

static anonset_answer ask(const tw_chain *chain, const uint8_t *tx_hash)
{
    anonset_request request = {.id = 9, .kind = ANONSET_REQUEST_HEIGHT};
    memcpy(request.tx_hash, tx_hash, sizeof request.tx_hash);
    tw_answer(&reply, chain, &request);
    cr_assert_eq(reply.answer.id, 9);
    return reply.answer;
}

static void expect_all(const tw_chain *chain)
{
    uint32_t block = 0, size = chain->n > 0 ? chain->meta.size : 0; /* no blocks: it is garbage */
    for (uint32_t position = 0; position < size; position++) {
        uint8_t bytes[TW_COIN_BYTES];
        anonset_coin coin;
        while (chain->size[block] <= position)
            block++;
        tw_coin(&coin, bytes, chain->coin[position], &chain->coin_tx[position]);
        anonset_answer answer = ask(chain, coin.tx_hash);
        cr_expect_eq(answer.kind, ANONSET_ANSWER_NUMBER);
        cr_expect_eq(answer.number, 100 + block, "position %u", position);
    }
}

Test(world, every_coin_has_the_height_of_its_block)
{
    tw_world world;
    tw_world_init(&world, 4);
    const tw_chain *chain = NULL;
    for (int i = 0; i < 200; i++) {
        chain = tw_mutate(&world, chain);
        expect_all(chain);
    }
    tw_world_free(&world);
}

Test(world, a_transaction_that_is_not_on_the_chain_is_an_error)
{
    tw_world world;
    uint8_t bytes[TW_COIN_BYTES];
    anonset_coin coin;
    tw_world_init(&world, 4);
    const tw_chain *shorter = tw_grow(&world, NULL, 3), *chain = tw_grow(&world, shorter, 1);
    uint32_t newest = chain->meta.size - 1;
    tw_coin(&coin, bytes, chain->coin[newest], &chain->coin_tx[newest]);
    cr_expect_eq(ask(chain, coin.tx_hash).number, 103);
    cr_expect_eq(ask(shorter, coin.tx_hash).kind, ANONSET_ANSWER_ERROR);
    cr_expect_eq(ask(NULL, coin.tx_hash).kind, ANONSET_ANSWER_ERROR);
    bytes[coin.tx_hash - bytes + 31] ^= 1;
    cr_expect_eq(ask(chain, coin.tx_hash).kind, ANONSET_ANSWER_ERROR);
    tw_world_free(&world);
}
