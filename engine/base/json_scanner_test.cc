#include "engine/base/json_scanner.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/base/float_bits.h"

namespace stepdb::json_scanner_test {

// "path=leaf path=leaf", or the error.
std::string scan(std::string_view text) {
    std::string found;
    const Status status = scan_json_object(text, [&](const JsonLeaf& leaf) -> Status {
        found += fmt::format("{}{}=", found.empty() ? "" : " ", leaf.path);
        switch (leaf.kind) {
            case JsonKind::kNumber:
                found += format_value(leaf.number);
                break;
            case JsonKind::kBool:
                found += leaf.number != 0 ? "true" : "false";
                break;
            case JsonKind::kNull:
                found += "null";
                break;
            case JsonKind::kString:
                found += fmt::format("'{}'", leaf.text);
                break;
            case JsonKind::kArray:
                found += "[]";
                break;
        }
        return {};
    });
    return status ? found : status.error().message();
}

TEST(JsonScanner, FlattensObjects) {
    EXPECT_EQ(scan(R"({"a": 1, "b": {"c": 2, "d": {"e": 3}}, "f": {}, "g/h": 4})"),
              "a=1 b/c=2 b/d/e=3 g/h=4");
    EXPECT_EQ(scan(" {\t} "), "");
    EXPECT_EQ(scan(R"({"": 1, "a": {"": 2}})"), "=1 a/=2");
}

TEST(JsonScanner, KnowsEveryKind) {
    EXPECT_EQ(scan(R"({"t":true,"f":false,"n":null,"s":"x","a":[1,[{"b":"]"}],null]})"),
              "t=true f=false n=null s='x' a=[]");
    EXPECT_EQ(scan(R"({"a":NaN,"b":Infinity,"c":-Infinity,"d":-0.0})"),
              "a=NaN b=Infinity c=-Infinity d=-0");
}

TEST(JsonScanner, RoundsNumbersToTheNearestDouble) {
    EXPECT_EQ(scan(R"({"a":0.1,"b":9007199254740993,"c":9007199254740995,"d":1e999,"e":-1E-999})"),
              "a=0.1 b=9007199254740992 c=9007199254740996 d=Infinity e=-0");
    // Halfway between 1 and its neighbour, and a hair above.
    EXPECT_EQ(scan(R"({"a":1.00000000000000011102230246251565404})"), "a=1");
    EXPECT_EQ(scan(R"({"a":1.00000000000000011102230246251565405})"), "a=1.0000000000000002");
    EXPECT_EQ(scan(R"({"a":5e-324})"), "a=5e-324");
}

TEST(JsonScanner, ReadsEscapes) {
    EXPECT_EQ(scan(R"({"a\"\\\/\tb":"\u00e4\u20AC\ud83d\ude00"})"), "a\"\\/\tb='ä€😀'");
    EXPECT_EQ(scan(R"({"a":"\ud83dx","b":"\ude00"})"), "a='\xEF\xBF\xBDx' b='\xEF\xBF\xBD'");
}

TEST(JsonScanner, RefusesWhatIsNoObject) {
    for (const std::string_view text : {"",
                                        "1",
                                        "[1]",
                                        "{",
                                        "{\"a\"",
                                        "{\"a\":",
                                        "{\"a\":1",
                                        "{\"a\":1,",
                                        "{\"a\":1,}",
                                        "{a:1}",
                                        "{\"a\":01}",
                                        "{\"a\":.5}",
                                        "{\"a\":1.}",
                                        "{\"a\":1e}",
                                        "{\"a\":+1}",
                                        "{\"a\":nan}",
                                        "{\"a\":tru}",
                                        "{\"a\":\"x}",
                                        "{\"a\":\"\\x\"}",
                                        "{\"a\":\"\\u12g4\"}",
                                        "{\"a\":[1,]}",
                                        "{\"a\":[1}",
                                        "{} {}",
                                        "{\"a\":1 \"b\":2}",
                                        "{\"a\n\":1}",
                                        "{\"a\":-}",
                                        "{\"a\":--1}",
                                        "{\"a\":0x10}",
                                        "{\"a\":[}",
                                        "{\"a\":-inf}"}) {
        EXPECT_TRUE(scan(text).starts_with("column ")) << text << ": " << scan(text);
    }
}

TEST(JsonScanner, GoesNoDeeperThanItMay) {
    const auto nested = [](int levels) {
        std::string text;
        for (int level = 0; level < levels; ++level) {
            text += "{\"a\":";
        }
        return text + "1" + std::string(static_cast<size_t>(levels), '}');
    };
    EXPECT_TRUE(scan(nested(kJsonDepthMax)).ends_with("=1"));
    EXPECT_NE(scan(nested(kJsonDepthMax + 1)).find("at most 64 levels"), std::string::npos);
    EXPECT_NE(scan(nested(1'000'000)).find("at most 64 levels"), std::string::npos);
    EXPECT_NE(scan("{\"a\":" + std::string(1'000'000, '[')).find("at most"), std::string::npos);
}

TEST(JsonScanner, SurvivesAnyBytes) {
    std::random_device device;
    const unsigned seed = device();
    SCOPED_TRACE(seed);
    std::mt19937 dice(seed);
    const std::string good = R"({"a":{"b":[1,"\u00e4",{"c":NaN}],"d":-1.5e3},"e":"x\n","f":true})";
    for (int round = 0; round < 20'000; ++round) {
        std::string bad = good;
        for (unsigned change = 0; change <= dice() % 3; ++change) {
            bad[dice() % bad.size()] = static_cast<char>(dice());
        }
        bad.resize(dice() % (bad.size() + 1));
        scan(bad);
    }
}

}  // namespace stepdb::json_scanner_test
