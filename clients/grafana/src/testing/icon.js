// In place of icons, which would be fetched.
module.exports = () => null;
