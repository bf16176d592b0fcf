# Completion of `stepdb` for fish. Commands and options are those that the program's own help names.

function __stepdb_help
    # The help of the command that has been typed so far.
    set -l path
    for word in (commandline -opc)[2..-1]
        contains -- $word (__stepdb_entries Subcommands $path | string replace -r '\t.*' '')
        or break
        set -a path $word
    end
    string join \n -- $path
end

function __stepdb_entries
    # NAME<tab>DESCRIPTION of each entry in a part of the help of a command.
    command stepdb $argv[2..-1] --help 2>/dev/null | awk -v part="$argv[1]:" '
        /^[^ ]/ { inside = ($0 == part) }
        inside && /^  [^ ]/ {
            line = substr($0, 3)
            name = line
            sub(/  .*/, "", name)
            text = (index(line, "  ") > 0) ? line : ""
            sub(/^.*[^ ]  +/, "", text)
            count = split(name, words, /[ ,]+/)
            for (at = 1; at <= count; ++at)
                if (words[at] ~ /^--/ || (at == 1 && words[at] !~ /^-/))
                    print words[at] "\t" text
        }'
end

complete -c stepdb -f -n 'test -n "$(__stepdb_entries Subcommands (__stepdb_help))"'
complete -c stepdb -a '(__stepdb_entries Subcommands (__stepdb_help))'
complete -c stepdb -n 'string match -q -- "-*" (commandline -ct)' \
    -a '(__stepdb_entries Options (__stepdb_help))'
