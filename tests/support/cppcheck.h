/* For scripts/lint: macros of libraries whose headers cppcheck does not see. */
#define json_array_foreach(array, index, item) \
    for ((index) = 0; ((item) = json_array_get(array, index)); (index)++)
#define json_object_foreach(object, name, item) \
    for ((name) = json_first(object); ((item) = json_object_get(object, name)); (name) = json_next())
#define json_object_foreach_safe(object, next, name, item) json_object_foreach (object, name, item)
