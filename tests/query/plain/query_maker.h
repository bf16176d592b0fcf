// Random queries for the exactness test, of every stage in every order that the language has.
#pragma once

#include "tests/query/plain/query.h"
#include "tests/query/plain/world.h"

namespace stepdb::plain {

Query make_query(SimRandom& random, const World& world);

}  // namespace stepdb::plain
