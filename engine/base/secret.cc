#include "engine/base/secret.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace stepdb {

Sha256 sha256(Bytes bytes) {
    Sha256 digest{};
    static_assert(sizeof(digest) == SHA256_DIGEST_LENGTH);
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
           reinterpret_cast<unsigned char*>(digest.data()));
    return digest;
}

bool equal_secretly(const Sha256& a, const Sha256& b) {
    return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace stepdb
