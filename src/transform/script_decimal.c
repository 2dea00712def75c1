/* Exact arithmetic on decimals in Lua: strings of digits, or integers. `decimal.add`, `sub`, `mul`,
 * `compare`, `round(a, digits)`, `div(a, b, digits)`; the operators + - * (also - before one) and
 * < <= between a number's string and a number are the same.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "transform/script_state.h"

#define DIGITS_MAX 2000

/* sign * digits * 10^-scale; the least significant digit first, without leading zeros. */
struct big {
    int sign;
    int count, scale;
    signed char digits[2 * DIGITS_MAX + 2];
};

static void trim(struct big *big)
{
    while (big->count && !big->digits[big->count - 1])
        big->count--;
    if (!big->count)
        big->sign = 1;
}

static bool parse(struct big *big, const char *text, size_t length)
{
    const char *end = text + length, *point = NULL;
    bool any = false;
    *big = (struct big){.sign = 1};
    if (text < end && (*text == '-' || *text == '+'))
        big->sign = *text++ == '-' ? -1 : 1;
    if (end - text > DIGITS_MAX)
        return false;
    for (const char *at = end; at-- > text;) {
        if (*at == '.' && !point) {
            point = at;
            big->scale = big->count;
            continue;
        }
        if (!isdigit((unsigned char) *at))
            return false;
        big->digits[big->count++] = (signed char) (*at - '0');
        any = true;
    }
    trim(big);
    return any;
}

static void check(lua_State *lua, int index, struct big *big)
{
    size_t length;
    bool number = lua_type(lua, index) == LUA_TSTRING || lua_isinteger(lua, index);
    const char *text = number ? lua_tolstring(lua, index, &length) : NULL;
    if (!text || !parse(big, text, length))
        luaL_argerror(lua, index, lua_type(lua, index) == LUA_TNUMBER
                                      ? "a float is not an exact number: write it as a string"
                                      : "a decimal is expected, as \"12.50\"");
}

static int push(lua_State *lua, const struct big *big)
{
    luaL_Buffer out;
    int places = big->count > big->scale ? big->count : big->scale + 1;
    luaL_buffinit(lua, &out);
    if (big->sign < 0 && big->count)
        luaL_addchar(&out, '-');
    for (int i = places; i-- > 0;) {
        if (i == big->scale - 1)
            luaL_addchar(&out, '.');
        luaL_addchar(&out, (char) ('0' + (i < big->count ? big->digits[i] : 0)));
    }
    luaL_pushresult(&out);
    return 1;
}

static bool scale_to(struct big *big, int scale)
{
    int more = scale - big->scale;
    if (more <= 0)
        return true;
    if (big->count + more > 2 * DIGITS_MAX)
        return false;
    if (big->count)
        memmove(big->digits + more, big->digits, (size_t) big->count);
    memset(big->digits, 0, (size_t) more);
    big->count += big->count ? more : 0;
    big->scale = scale;
    return true;
}

static int order(const struct big *a, const struct big *b) /* of magnitudes of one scale */
{
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    for (int i = a->count; i-- > 0;)
        if (a->digits[i] != b->digits[i])
            return a->digits[i] < b->digits[i] ? -1 : 1;
    return 0;
}

static void align(lua_State *lua, struct big *a, struct big *b)
{
    if (!scale_to(a, b->scale) || !scale_to(b, a->scale))
        luaL_error(lua, "a decimal of more than %d digits", DIGITS_MAX);
}

static void add(struct big *a, const struct big *b, int sign)
{
    int other = b->sign * sign, carry = 0;
    const struct big *large = a, *small = b;
    int result = a->sign;
    if (a->sign != other && order(a, b) < 0) {
        large = b;
        small = a;
        result = other;
    }
    int way = a->sign == other ? 1 : -1, count = large->count > small->count ? large->count
                                                                             : small->count;
    for (int i = 0; i <= count; i++) {
        int digit = (i < large->count ? large->digits[i] : 0) +
                    way * (i < small->count ? small->digits[i] : 0) + carry;
        carry = digit > 9 ? 1 : digit < 0 ? -1 : 0;
        a->digits[i] = (signed char) (digit - 10 * carry);
    }
    a->count = count + 1;
    a->sign = result;
    trim(a);
}

static int sum(lua_State *lua, int sign)
{
    struct big a, b;
    check(lua, 1, &a);
    check(lua, 2, &b);
    align(lua, &a, &b);
    add(&a, &b, sign);
    return push(lua, &a);
}

static int decimal_add(lua_State *lua)
{
    return sum(lua, 1);
}

static int decimal_sub(lua_State *lua)
{
    return sum(lua, -1);
}

/* Lua gives the operand twice. */
static int decimal_negate(lua_State *lua)
{
    struct big a;
    check(lua, 1, &a);
    a.sign = -a.sign;
    return push(lua, &a);
}

static int decimal_mul(lua_State *lua)
{
    struct big a, b, product = {.sign = 1};
    check(lua, 1, &a);
    check(lua, 2, &b);
    int cells[2 * DIGITS_MAX + 2] = {0}, carry = 0;
    for (int i = 0; i < a.count; i++)
        for (int j = 0; j < b.count; j++)
            cells[i + j] += a.digits[i] * b.digits[j];
    product.sign = a.sign * b.sign;
    product.scale = a.scale + b.scale;
    product.count = a.count + b.count;
    for (int i = 0; i < product.count; i++) {
        int cell = cells[i] + carry;
        product.digits[i] = (signed char) (cell % 10);
        carry = cell / 10;
    }
    trim(&product);
    return push(lua, &product);
}

/* Half away from zero, as PostgreSQL's round(). */
static void round_to(struct big *big, int scale)
{
    int less = big->scale - scale;
    if (less <= 0)
        return;
    bool up = less <= big->count && big->digits[less - 1] >= 5;
    int count = big->count > less ? big->count - less : 0;
    memmove(big->digits, big->digits + less, (size_t) count);
    big->count = count;
    big->scale = scale;
    if (up) {
        struct big one = {.sign = big->sign, .count = 1, .scale = scale, .digits = {1}};
        add(big, &one, 1);
    }
    trim(big);
}

static int scale_at(lua_State *lua, int index)
{
    lua_Integer scale = luaL_checkinteger(lua, index);
    luaL_argcheck(lua, scale >= 0 && scale <= 100, index, "from 0 to 100 digits");
    return (int) scale;
}

static int decimal_round(lua_State *lua)
{
    struct big a;
    check(lua, 1, &a);
    int scale = scale_at(lua, 2);
    round_to(&a, scale);
    if (!scale_to(&a, scale))
        return luaL_error(lua, "a decimal of more than %d digits", DIGITS_MAX);
    a.scale = scale;
    return push(lua, &a);
}

static int decimal_div(lua_State *lua)
{
    struct big a, b, rest = {.sign = 1}, result = {.sign = 1};
    check(lua, 1, &a);
    check(lua, 2, &b);
    int scale = scale_at(lua, 3);
    if (!b.count)
        return luaL_error(lua, "division by zero");
    if (!scale_to(&a, b.scale + scale + 1))
        return luaL_error(lua, "a decimal of more than %d digits", DIGITS_MAX);
    struct big divisor = b;
    divisor.sign = 1;
    for (int i = a.count; i-- > 0;) {
        memmove(rest.digits + 1, rest.digits, (size_t) rest.count);
        rest.digits[0] = a.digits[i];
        rest.count++;
        trim(&rest);
        int digit = 0;
        for (; order(&rest, &divisor) >= 0; digit++)
            add(&rest, &divisor, -1);
        result.digits[i] = (signed char) digit;
    }
    result.count = a.count;
    result.sign = a.sign * b.sign;
    result.scale = a.scale - b.scale;
    trim(&result);
    round_to(&result, scale);
    return push(lua, &result);
}

static int compare(lua_State *lua)
{
    struct big a, b;
    check(lua, 1, &a);
    check(lua, 2, &b);
    align(lua, &a, &b);
    if (a.sign != b.sign && (a.count || b.count))
        return a.sign < b.sign ? -1 : 1;
    return order(&a, &b) * a.sign;
}

static int decimal_compare(lua_State *lua)
{
    lua_pushinteger(lua, compare(lua));
    return 1;
}

/* A float beside a decimal's string is taken by its shortest digits. */
static void exact(lua_State *lua, int index)
{
    if (lua_type(lua, index) != LUA_TNUMBER || lua_isinteger(lua, index))
        return;
    lua_pushfstring(lua, "%f", lua_tonumber(lua, index));
    lua_replace(lua, index);
}

static int less(lua_State *lua)
{
    exact(lua, 1);
    exact(lua, 2);
    lua_pushboolean(lua, compare(lua) < 0);
    return 1;
}

static int less_or_equal(lua_State *lua)
{
    exact(lua, 1);
    exact(lua, 2);
    lua_pushboolean(lua, compare(lua) <= 0);
    return 1;
}

static int no_division(lua_State *lua)
{
    return luaL_error(lua, "decimal.div(a, b, digits) divides decimals");
}

void script_open_decimal(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"add", decimal_add},         {"sub", decimal_sub},
                                         {"mul", decimal_mul},         {"div", decimal_div},
                                         {"round", decimal_round},     {"compare", decimal_compare},
                                         {NULL, NULL}};
    static const luaL_Reg operators[] = {
        {"__add", decimal_add}, {"__sub", decimal_sub},        {"__mul", decimal_mul},
        {"__div", no_division}, {"__idiv", no_division},       {"__mod", no_division},
        {"__pow", no_division}, {"__lt", less},                {"__le", less_or_equal},
        {"__unm", decimal_negate},
        {NULL, NULL}};
    lua_pushglobaltable(lua);
    luaL_newlib(lua, functions);
    lua_setfield(lua, -2, "decimal");
    lua_pop(lua, 1);
    lua_pushliteral(lua, "");
    lua_getmetatable(lua, -1);
    luaL_setfuncs(lua, operators, 0);
    lua_pop(lua, 2);
}
