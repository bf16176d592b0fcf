#include "net/network_of.h"

#include <algorithm>

namespace stepdb {

boost::asio::ip::address network_of(const boost::asio::ip::address& address) {
    namespace ip = boost::asio::ip;
    if (!address.is_v6()) {
        return address;
    }
    const ip::address_v6 v6 = address.to_v6();
    if (v6.is_v4_mapped()) {
        return ip::make_address_v4(ip::v4_mapped, v6);
    }
    ip::address_v6::bytes_type bytes = v6.to_bytes();
    std::fill(bytes.begin() + 8, bytes.end(), uint8_t{0});
    return ip::address_v6(bytes);
}

void NetworkCounts::remove(const boost::asio::ip::address& network) {
    const auto at = counts_.find(network);
    if (--at->second == 0) {
        counts_.erase(at);
    }
}

}  // namespace stepdb
