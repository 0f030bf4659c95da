-- In front of a deletion: it is not carried out if something else is there than what was examined.
-- The last one of ARGV is the hash of that.
if hash_of(content_of(KEYS[1], ARGV[1] ~= '')) ~= table.remove(ARGV) then
  return {0, false, 0}
end
