// Which connections come from one machine. Private to net/, as it shows Asio.
#pragma once

#include <boost/asio/ip/address.hpp>

#include <cstddef>
#include <map>

namespace stepdb {

// What connections of one machine have in common: a single IPv6 host has a whole network of 64
// bits.
boost::asio::ip::address network_of(const boost::asio::ip::address& address);

// How many each has. On the net thread.
class NetworkCounts {
  public:
    // How many it has with this one.
    size_t add(const boost::asio::ip::address& network) { return ++counts_[network]; }
    void remove(const boost::asio::ip::address& network);

  private:
    std::map<boost::asio::ip::address, size_t> counts_;
};

}  // namespace stepdb
