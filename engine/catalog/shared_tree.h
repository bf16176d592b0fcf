// An ordered set that is cheap to copy: copies share all they have in common, and a change copies
// the few nodes on its way from the root. So a catalog of 100,000 runs can be published after every
// change, and what readers hold of older ones costs what has changed since.
//
// A B+ tree whose nodes are immutable once a tree has them. Reading is free of locks on any thread,
// as long as each thread has a copy of its own or a const one; copies may be changed independently.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/memory_budget.h"

namespace stepdb {

// `Order()(a, b)` says whether a comes before b, for entries and for whatever they are looked up
// by. `budget` of a change, if not null, is charged with the nodes it replaces, for as long as
// other copies hold them.
template <typename Entry, typename Order>
class SharedTree {
    struct Node;
    using NodePointer = std::shared_ptr<const Node>;
    using Budget = std::shared_ptr<MemoryBudget>;

    // 32 entries of 16 bytes: copying a node costs about as much as finding one in memory.
    static constexpr size_t kNodeMax = 32;
    static constexpr size_t kDepthMax = 16;

    struct Node {
        std::vector<Entry> entries;         // of a leaf
        std::vector<NodePointer> children;  // of a branch, at least one
        mutable MemoryCharge charge;        // once it was replaced; no part of what it says

        bool is_leaf() const { return children.empty(); }
        const Entry& front() const {
            const Node* node = this;
            while (!node->is_leaf()) {
                node = node->children.front().get();
            }
            return node->entries.front();
        }
        size_t memory_bytes() const {
            constexpr size_t kAllocated = 64;  // both allocations and the count of holders
            return sizeof(Node) + kAllocated + entries.capacity() * sizeof(Entry) +
                   children.capacity() * sizeof(NodePointer);
        }
    };

  public:
    class Iterator {
      public:
        using iterator_category = std::forward_iterator_tag;
        using value_type = Entry;
        using difference_type = ptrdiff_t;
        using pointer = const Entry*;
        using reference = const Entry&;

        Iterator() = default;

        reference operator*() const { return leaf_->entries[index_]; }
        pointer operator->() const { return &leaf_->entries[index_]; }
        Iterator& operator++() {
            if (++index_ == leaf_->entries.size()) {
                next_leaf();
            }
            return *this;
        }
        Iterator operator++(int) {
            Iterator before = *this;
            ++*this;
            return before;
        }
        bool operator==(const Iterator& other) const {
            return leaf_ == other.leaf_ && index_ == other.index_;
        }

      private:
        friend class SharedTree;

        void next_leaf() {
            index_ = 0;
            leaf_ = nullptr;
            while (depth_ > 0) {
                auto& [branch, child] = path_[depth_ - 1];
                if (++child < branch->children.size()) {
                    descend(branch->children[child].get());
                    return;
                }
                --depth_;
            }
        }
        void descend(const Node* node) {
            for (; !node->is_leaf(); node = node->children.front().get()) {
                push(node, 0);
            }
            leaf_ = node;
        }
        void push(const Node* branch, size_t child) {
            CHECK(depth_ < kDepthMax, "a tree of {} levels", depth_);
            path_[depth_++] = {branch, child};
        }

        const Node* leaf_ = nullptr;  // null: at the end
        size_t index_ = 0;
        std::array<std::pair<const Node*, size_t>, kDepthMax> path_ = {};
        size_t depth_ = 0;
    };

    SharedTree() = default;
    // Of entries in order, each once.
    static SharedTree build(std::vector<Entry> sorted) {
        SharedTree tree;
        tree.size_ = sorted.size();
        std::vector<NodePointer> level;
        for (size_t at = 0; at < sorted.size(); at += kNodeMax) {
            const auto first = sorted.begin() + static_cast<ptrdiff_t>(at);
            const size_t count = std::min(kNodeMax, sorted.size() - at);
            auto leaf = std::make_shared<Node>();
            leaf->entries.assign(std::make_move_iterator(first),
                                 std::make_move_iterator(first + static_cast<ptrdiff_t>(count)));
            tree.bytes_ += leaf->memory_bytes();
            level.push_back(std::move(leaf));
        }
        while (level.size() > 1) {
            level = tree.branches_over(level);
        }
        tree.root_ = level.empty() ? nullptr : std::move(level.front());
        return tree;
    }

    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    // Of its nodes, those that copies share too.
    size_t memory_bytes() const { return bytes_; }

    Iterator begin() const {
        Iterator at;
        if (root_ != nullptr) {
            at.descend(root_.get());
        }
        return at;
    }
    Iterator end() const { return Iterator(); }
    // The first entry that does not come before `key`.
    template <typename Key>
    Iterator lower_bound(const Key& key) const {
        Iterator at;
        if (root_ == nullptr) {
            return at;
        }
        const Node* node = root_.get();
        while (!node->is_leaf()) {
            const size_t child = child_for(*node, key);
            at.push(node, child);
            node = node->children[child].get();
        }
        at.leaf_ = node;
        at.index_ = place_in(*node, key);
        if (at.index_ == node->entries.size()) {
            at.next_leaf();
        }
        return at;
    }
    // Valid until the tree changes; null if there is none.
    template <typename Key>
    const Entry* find(const Key& key) const {
        const Node* node = root_.get();
        while (node != nullptr && !node->is_leaf()) {
            node = node->children[child_for(*node, key)].get();
        }
        if (node == nullptr) {
            return nullptr;
        }
        const size_t at = place_in(*node, key);
        const bool there = at < node->entries.size() && !Order()(key, node->entries[at]);
        return there ? &node->entries[at] : nullptr;
    }

    // Adds the entry, or puts it in the place of one that is equal in order.
    void put(Entry entry, const Budget& budget = nullptr) {
        if (root_ == nullptr) {
            root_ = leaf_of({});
        }
        std::vector<NodePointer> made = put_below(root_, std::move(entry), budget);
        replace(root_, budget);
        if (made.size() > 1) {
            made = branches_over(made);
        }
        root_ = std::move(made.front());
    }

    // False if it was not there.
    template <typename Key>
    bool erase(const Key& key, const Budget& budget = nullptr) {
        if (find(key) == nullptr) {
            return false;
        }
        NodePointer made = erase_below(root_, key, budget);
        replace(root_, budget);
        root_ = std::move(made);
        while (root_ != nullptr && root_->children.size() == 1) {
            NodePointer only = root_->children.front();
            replace(root_, budget);
            root_ = std::move(only);
        }
        --size_;
        return true;
    }

  private:
    template <typename Key>
    static size_t place_in(const Node& leaf, const Key& key) {
        const auto at = std::lower_bound(leaf.entries.begin(), leaf.entries.end(), key, Order());
        return static_cast<size_t>(at - leaf.entries.begin());
    }
    // The last child that does not begin behind the key; the first if all do.
    template <typename Key>
    static size_t child_for(const Node& branch, const Key& key) {
        const auto at = std::upper_bound(
            branch.children.begin() + 1, branch.children.end(), key,
            [](const Key& of, const NodePointer& child) { return Order()(of, child->front()); });
        return static_cast<size_t>(at - branch.children.begin()) - 1;
    }

    // The node is not this tree's any more.
    void replace(const NodePointer& node, const Budget& budget) {
        bytes_ -= node->memory_bytes();
        if (budget != nullptr && node.use_count() > 1) {
            node->charge = MemoryCharge(budget, node->memory_bytes());
        }
    }
    NodePointer leaf_of(std::vector<Entry> entries) {
        auto leaf = std::make_shared<Node>();
        leaf->entries = std::move(entries);
        bytes_ += leaf->memory_bytes();
        return leaf;
    }
    NodePointer branch_of(std::vector<NodePointer> children) {
        auto branch = std::make_shared<Node>();
        branch->children = std::move(children);
        bytes_ += branch->memory_bytes();
        return branch;
    }
    std::vector<NodePointer> branches_over(const std::vector<NodePointer>& level) {
        std::vector<NodePointer> above;
        for (size_t at = 0; at < level.size(); at += kNodeMax) {
            const auto first = level.begin() + static_cast<ptrdiff_t>(at);
            const size_t count = std::min(kNodeMax, level.size() - at);
            above.push_back(branch_of({first, first + static_cast<ptrdiff_t>(count)}));
        }
        return above;
    }

    // Ids ascend: where items are added at the end, what lies before them stays full.
    template <typename Item>
    static std::pair<std::vector<Item>, std::vector<Item>> split(std::vector<Item> items,
                                                                 bool at_end) {
        const size_t left = at_end ? items.size() - 1 : items.size() / 2;
        const auto middle = items.begin() + static_cast<ptrdiff_t>(left);
        std::vector<Item> right(std::make_move_iterator(middle),
                                std::make_move_iterator(items.end()));
        return {std::vector<Item>(std::make_move_iterator(items.begin()),
                                  std::make_move_iterator(middle)),
                std::move(right)};
    }
    // One item more at `at`, in exactly the memory it takes.
    template <typename Item>
    static std::vector<Item> with_items(const std::vector<Item>& items, size_t at, size_t replaced,
                                        std::vector<Item> added) {
        std::vector<Item> all;
        all.reserve(items.size() - replaced + added.size());
        all.insert(all.end(), items.begin(), items.begin() + static_cast<ptrdiff_t>(at));
        all.insert(all.end(), std::make_move_iterator(added.begin()),
                   std::make_move_iterator(added.end()));
        all.insert(all.end(), items.begin() + static_cast<ptrdiff_t>(at + replaced), items.end());
        return all;
    }

    // What takes the place of `node`: a node or two.
    std::vector<NodePointer> put_below(const NodePointer& node, Entry entry, const Budget& budget) {
        if (node->is_leaf()) {
            return put_in_leaf(*node, std::move(entry));
        }
        const size_t child = child_for(*node, entry);
        std::vector<NodePointer> made = put_below(node->children[child], std::move(entry), budget);
        replace(node->children[child], budget);
        const bool at_end = child + 1 == node->children.size();
        std::vector<NodePointer> children = with_items(node->children, child, 1, std::move(made));
        if (children.size() <= kNodeMax) {
            return {branch_of(std::move(children))};
        }
        auto [left, right] = split(std::move(children), at_end);
        return {branch_of(std::move(left)), branch_of(std::move(right))};
    }
    std::vector<NodePointer> put_in_leaf(const Node& leaf, Entry entry) {
        const size_t at = place_in(leaf, entry);
        const bool there = at < leaf.entries.size() && !Order()(entry, leaf.entries[at]);
        const bool at_end = at == leaf.entries.size();
        size_ += there ? 0 : 1;
        std::vector<Entry> added;
        added.push_back(std::move(entry));
        std::vector<Entry> entries = with_items(leaf.entries, at, there ? 1 : 0, std::move(added));
        if (entries.size() <= kNodeMax) {
            return {leaf_of(std::move(entries))};
        }
        auto [left, right] = split(std::move(entries), at_end);
        return {leaf_of(std::move(left)), leaf_of(std::move(right))};
    }
    // What takes the place of `node`; null if nothing is left. Nodes that are low stay as they are:
    // deletes are rare, and what is added later fills them.
    template <typename Key>
    NodePointer erase_below(const NodePointer& node, const Key& key, const Budget& budget) {
        if (node->is_leaf()) {
            std::vector<Entry> left = with_items(node->entries, place_in(*node, key), 1, {});
            return left.empty() ? nullptr : leaf_of(std::move(left));
        }
        const size_t child = child_for(*node, key);
        NodePointer made = erase_below(node->children[child], key, budget);
        replace(node->children[child], budget);
        std::vector<NodePointer> added;
        if (made != nullptr) {
            added.push_back(std::move(made));
        }
        std::vector<NodePointer> children = with_items(node->children, child, 1, std::move(added));
        return children.empty() ? nullptr : branch_of(std::move(children));
    }

    NodePointer root_;
    size_t size_ = 0;
    size_t bytes_ = 0;
};

}  // namespace stepdb
